//! Databases: connections that the host opens, encrypts, logs in and pools, for plugins that name surrogates.
//!
//! [`rules`] judges what a plugin wants to open. [`open`] connects by the rules of egress, does TLS within TDS
//! ([`handshake`], [`wire`], [`follow`]) and logs in with `tiberius`; [`pool`] keeps what comes of that, and a [`session`] lends it to one
//! call. [`value`] and [`parameter`] translate between the plugin's values and the protocol's, [`civil`] dates among them.

mod civil;
mod error;
mod follow;
mod handshake;
mod open;
mod parameter;
mod pool;
mod rules;
mod session;
mod socket;
mod value;
mod wire;

use tracing::instrument::{WithDispatch, WithSubscriber};
use tracing::subscriber::NoSubscriber;

pub(crate) use error::{ServerError, SqlError};
pub(crate) use open::Opener;
pub(crate) use pool::Pool;
pub(crate) use rules::Credential;
pub(crate) use session::{Isolation, Running, Session};
pub(crate) use value::{Column, DataType, Item, Value};

/// Lets `tiberius` work without telling the log. It would warn of a connection without TLS, not knowing of ours, and repeat what
/// a server says of data.
fn quietly<F: Future>(work: F) -> WithDispatch<F> {
    work.with_subscriber(NoSubscriber::new())
}
