//! Counters, in the [text format of Prometheus].
//!
//! A service that embeds the broker serves them where it serves its own:
//!
//! ```no_run
//! # fn served(broker: &keyward::Broker) -> http::Response<String> {
//! let mut text = String::new();
//! keyward::metrics::write(broker, &mut text);
//! http::Response::builder().header("content-type", keyward::metrics::CONTENT_TYPE).body(text).unwrap_or_default()
//! # }
//! ```
//!
//! Each has the labels `identity`, the name in the configuration, and `audience`. Nothing of a
//! token is in them, but when it ends.
//!
//! | name | counts |
//! |---|---|
//! | `keyward_token_requests_total` | that a token was asked for |
//! | `keyward_token_refused_total` | of these, that there was none |
//! | `keyward_token_stale_total` | of these, that it was the old one, near its end, since there was no new one in time |
//! | `keyward_token_fetches_total` | that the source gave a token |
//! | `keyward_token_failures_total` | that the source failed |
//! | `keyward_token_restored_total` | that a token was found on disk: once at most |
//! | `keyward_token_expires_at_seconds` | a gauge: when the token that is kept ends, since 1970-01-01T00:00:00Z |
//!
//! [text format of Prometheus]: https://prometheus.io/docs/instrumenting/exposition_formats/

use std::fmt::Write;

use keyward_identity::cache::Statistics;

use crate::Broker;

/// What the text is, for a `content-type`.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A metric: its name, its type, what it is, and its value, where there is one.
type Metric = (&'static str, &'static str, &'static str, fn(&Statistics) -> Option<u64>);

const METRICS: [Metric; 7] = [
    ("keyward_token_requests_total", "counter", "How often a token was asked for.", |tokens| {
        Some(tokens.used.saturating_add(tokens.refused))
    }),
    ("keyward_token_refused_total", "counter", "How often there was no token.", |tokens| {
        Some(tokens.refused)
    }),
    (
        "keyward_token_stale_total",
        "counter",
        "How often it was the old token, near its end, since there was no new one in time.",
        |tokens| Some(tokens.stale),
    ),
    ("keyward_token_fetches_total", "counter", "How often the source gave a token.", |tokens| {
        Some(tokens.fetched)
    }),
    ("keyward_token_failures_total", "counter", "How often the source failed.", |tokens| {
        Some(tokens.failed)
    }),
    ("keyward_token_restored_total", "counter", "How often a token was found on disk.", |tokens| {
        Some(tokens.restored)
    }),
    (
        "keyward_token_expires_at_seconds",
        "gauge",
        "When the token that is kept ends, in seconds since 1970-01-01T00:00:00Z.",
        |tokens| tokens.expires_on,
    ),
];

/// Appends all metrics of a broker to a text.
pub fn write(broker: &Broker, to: &mut String) {
    let statistics = broker.token_statistics();
    for (name, kind, help, value) in METRICS {
        // A text takes all that is written to it.
        let _ = writeln!(to, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (identity, tokens) in &statistics {
            let identity = escaped(identity);
            for tokens in tokens {
                let Some(value) = value(tokens) else { continue };
                let audience = escaped(tokens.audience.as_str());
                let _ = writeln!(
                    to,
                    "{name}{{identity=\"{identity}\",audience=\"{audience}\"}} {value}"
                );
            }
        }
    }
}

/// The value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_labels_value_cannot_end_it() {
        assert_eq!(escaped("a\\b\"c\nd"), "a\\\\b\\\"c\\nd");
        assert_eq!(escaped("https://vault.azure.net"), "https://vault.azure.net");
    }
}
