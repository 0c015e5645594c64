//! Redaction: finds secrets in what passes, and replaces them, across chunk borders.
//!
//! A [`SecretIndex`] is built once for each secret, a [`Scanner`] is made for each stream that is
//! searched, and [`KnownTokens`] are those that a mount's responses are searched for.

mod coding;
mod forms;
mod known_tokens;
mod scanner;
mod secret_index;

pub(crate) use coding::{CodedScanner, CodingError, decode_whole, of as coding_of};
pub(crate) use known_tokens::KnownTokens;
pub(crate) use scanner::{Scanner, TokenFragment};
pub(crate) use secret_index::SecretIndex;
