//! Keeps the events of `tiberius` out of the log.

use std::sync::LazyLock;

use tracing::instrument::{WithDispatch, WithSubscriber};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

/// Runs work of `tiberius` without its events. It would warn of a connection without TLS, since it
/// does not know that its stream is encrypted, and log messages of the server that quote data.
pub(crate) fn quietly<F: Future>(work: F) -> WithDispatch<F> {
    static QUIET: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Quiet));
    work.with_subscriber(QUIET.clone())
}

/// A subscriber that is not interested in anything, so that events are not even constructed.
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

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
