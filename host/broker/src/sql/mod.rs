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

use std::sync::LazyLock;

use tracing::instrument::{WithDispatch, WithSubscriber};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Dispatch, Event, Metadata, Subscriber};

pub(crate) use error::{ServerError, SqlError};
pub(crate) use open::Opener;
pub(crate) use pool::Pool;
pub(crate) use rules::Credential;
pub(crate) use session::{Isolation, Running, Session};
pub(crate) use value::{Column, DataType, Item, Value};

/// Lets `tiberius` work without telling the log. It would warn of a connection without TLS, not knowing of ours, and repeat what
/// a server says of data.
fn quietly<F: Future>(work: F) -> WithDispatch<F> {
    static QUIET: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Quiet));
    work.with_subscriber(QUIET.clone())
}

/// Hears nothing, and says so: what it is asked about is not even made.
struct Quiet;

impl Subscriber for Quiet {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
