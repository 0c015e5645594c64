//! Connections to services: a client for each mount, whose connector resolves names, checks
//! addresses and speaks TLS. It knows of no call.

mod client;
mod connect;
mod connect_error;
mod read_on;
mod resolve;
mod tls;

pub(crate) use client::Client;
pub(crate) use connect::Connector;
pub(crate) use connect_error::{ConnectError, find, innermost};
pub use resolve::{Resolve, Resolving, SystemResolver};
pub(crate) use tls::Trust;
