//! Counters, in the [OpenMetrics] text format.
//!
//! A service that embeds the broker serves them where it serves its own:
//!
//! ```no_run
//! # fn metrics(broker: &keyward::Broker) -> http::Response<String> {
//! let text = keyward::metrics::encode(broker);
//! let response = http::Response::builder();
//! response.header("content-type", keyward::metrics::CONTENT_TYPE).body(text).unwrap_or_default()
//! # }
//! ```
//!
//! Each has the labels `identity`, the name in the configuration, and `audience`. Of a token, they
//! contain nothing but its expiry.
//!
//! | name | type and meaning |
//! |---|---|
//! | `keyward_token_requests_total` | counter: requests for a token |
//! | `keyward_token_refused_total` | counter: requests for a token that got an error |
//! | `keyward_token_stale_total` | counter: requests that got the old token, near its expiry |
//! | `keyward_token_fetches_total` | counter: tokens fetched from the source |
//! | `keyward_token_failures_total` | counter: requests to the source that failed |
//! | `keyward_token_restored_total` | counter: tokens restored from disk, at most one |
//! | `keyward_token_expires_at_seconds` | gauge: expiry of the token, in seconds since 1970 |
//!
//! [OpenMetrics]: https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md

use std::fmt;

use keyward_identity::cache::Statistics;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::Broker;

/// The media type of the text, for a `content-type` header.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A counter: its name without `_total`, its meaning, and its value.
type Counter = (&'static str, &'static str, fn(&Statistics) -> u64);

const COUNTERS: [Counter; 6] = [
    ("keyward_token_requests", "Requests for a token.", |tokens| {
        tokens.used.saturating_add(tokens.refused)
    }),
    ("keyward_token_refused", "Requests for a token that got an error.", |tokens| tokens.refused),
    (
        "keyward_token_stale",
        "Requests that got the old token, near its expiry, since there was no new one in time.",
        |tokens| tokens.stale,
    ),
    ("keyward_token_fetches", "Tokens fetched from the source.", |tokens| tokens.fetched),
    ("keyward_token_failures", "Requests to the source that failed.", |tokens| tokens.failed),
    ("keyward_token_restored", "Tokens restored from disk.", |tokens| tokens.restored),
];

/// All metrics of a broker, as a complete exposition.
#[must_use]
pub fn encode(broker: &Broker) -> String {
    encoded(broker, text::encode)
}

/// All metrics of a broker, for an exposition that has others too: without the `# EOF` at its end.
#[must_use]
pub fn encode_families(broker: &Broker) -> String {
    encoded(broker, text::encode_registry)
}

fn encoded(broker: &Broker, encode: fn(&mut String, &Registry) -> fmt::Result) -> String {
    let statistics = broker.token_statistics().into_iter();
    let tokens = statistics
        .flat_map(|(identity, tokens)| tokens.into_iter().map(move |each| (identity.clone(), each)))
        .collect();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(TokenMetrics(tokens)));
    let mut text = String::new();
    // Writing to a string does not fail.
    if let Err(error) = encode(&mut text, &registry) {
        tracing::error!(%error, "internal error: the metrics could not be encoded");
    }
    text
}

/// Statistics of each identity's tokens.
#[derive(Debug)]
struct TokenMetrics(Vec<(String, Statistics)>);

impl Collector for TokenMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, value) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (identity, tokens) in &self.0 {
                let labels = labels(identity, tokens);
                ConstCounter::new(value(tokens)).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "Expiry of the cached token, in seconds since 1970-01-01T00:00:00Z.";
        let mut family = encoder.encode_descriptor(
            "keyward_token_expires_at",
            help,
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        for (identity, tokens) in &self.0 {
            let Some(expires) = tokens.expires_on else { continue };
            let expires = i64::try_from(expires).unwrap_or(i64::MAX);
            let labels = labels(identity, tokens);
            ConstGauge::new(expires).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn labels<'s>(identity: &'s str, tokens: &'s Statistics) -> [(&'s str, &'s str); 2] {
    [("identity", identity), ("audience", tokens.audience.as_str())]
}
