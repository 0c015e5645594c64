//! The formats of times in the storage services.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) use crate::token_issuer::now;

fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// `Sat, 21 Nov 2026 07:00:00 GMT`
pub(super) fn http(seconds: u64) -> String {
    httpdate::fmt_http_date(time(seconds))
}

/// Reads the time of a header field, as Unix seconds.
pub(super) fn parse_http(text: &str) -> Option<u64> {
    httpdate::parse_http_date(text)
        .ok()?
        .duration_since(UNIX_EPOCH)
        .ok()
        .map(|since| since.as_secs())
}

/// `2026-11-21T07:00:00Z`
pub(super) fn iso(seconds: u64) -> String {
    humantime::format_rfc3339_seconds(time(seconds)).to_string()
}

/// Reads one of the three forms of ISO 8601 in a shared access signature, as Unix seconds: a date,
/// a time in UTC with minutes, or one with seconds and fractions.
pub(super) fn parse_iso(text: &str) -> Option<u64> {
    let full = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        17 => format!("{}:00Z", text.strip_suffix('Z')?),
        _ => text.to_owned(),
    };
    humantime::parse_rfc3339(&full)
        .ok()?
        .duration_since(UNIX_EPOCH)
        .ok()
        .map(|since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_a_time_are_read() {
        for text in [
            "1970-01-02",
            "1970-01-02T00:00Z",
            "1970-01-02T00:00:00Z",
            "1970-01-02T00:00:00.1234567Z",
        ] {
            assert_eq!(parse_iso(text), Some(86_400), "{text}");
        }
        for text in ["", "tomorrow", "1970-01-02T00:00", "1970-01-02T00:00:00+01:00", "é970-01-02"]
        {
            assert_eq!(parse_iso(text), None, "{text}");
        }
        assert_eq!(parse_http(&http(1_000)), Some(1_000));
    }
}
