//! The parts of TDS, the protocol of SQL Server, that are handled here and not by `tiberius`
//! ([MS-TDS]).
//!
//! [`packet`] has the framing of all messages and [`prelogin`] the first of them. [`token_stream`]
//! reads the tokens of responses on their way to `tiberius`: it cuts packets, [`token_source`]
//! supplies their bytes, [`token_parser`] reads one token after another, and [`type_info`] the
//! types and values in them. [`token`] and [`type_code`] name the protocol's constants as the
//! specification does.
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds

pub(super) mod packet;
pub(super) mod prelogin;
mod token;
mod token_parser;
mod token_source;
mod token_stream;
mod type_code;
mod type_info;

pub(super) use token_source::TokenSource;
pub(super) use token_stream::TokenStream;
