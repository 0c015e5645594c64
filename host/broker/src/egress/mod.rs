//! How requests leave: the only way out of a sandbox.
//!
//! A plugin's request comes to [`hooks`], is judged by [`rules`], and is sent by [`send`] through the mount's own
//! [`client`], whose connector resolves names and checks [`address`]es. What comes back goes through [`scan`], which
//! blanks out a token that a service sends back; a compressed response goes through [`coding`] to be searched.

mod address;
mod body;
mod client;
mod coding;
mod connect;
mod error;
mod fault;
mod hooks;
mod minting;
pub(crate) mod overrides;
mod read_on;
mod redirect;
mod rejected;
mod resolve;
mod rules;
mod scan;
mod sealed;
mod second_path;
mod send;
mod signature;
mod tls;
mod upload;

pub(crate) use address::forbidden_even_if_resolved;
pub(crate) use client::Client;
pub(crate) use connect::Connector;
pub(crate) use error::ConnectError;
pub(crate) use hooks::EgressHooks;
pub use minting::{MintingDenied, MintingRule};
pub use redirect::RedirectDenied;
pub(crate) use redirect::Redirects;
pub use resolve::{Resolve, Resolving, SystemResolver};
pub use rules::Misuse;
pub(crate) use rules::{Refusal, Spend};
pub(crate) use scan::Scanner;
pub use signature::SignatureRule;
pub(crate) use tls::Trust;
