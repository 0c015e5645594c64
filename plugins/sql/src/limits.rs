//! Limits on the size and the duration of a response.
//!
//! The mount's settings are the maximum; a request may set lower limits. A response that exceeds
//! them is an error, never a truncated response that looks complete.

use std::time::Duration;

use keyward_plugin::{Context, Problem};

/// The limits of one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Rows of all result sets together.
    pub(crate) rows: u64,
    /// Bytes of the response's body.
    pub(crate) bytes: u64,
    /// From the start of the statement to its last row.
    pub(crate) time: Duration,
}

impl Limits {
    /// The limits in the mount's settings.
    pub(crate) fn of(cx: &Context) -> Result<Self, Problem> {
        Ok(Self {
            rows: setting(cx, "max_rows", 1_000_000, rows)?,
            bytes: setting(cx, "max_bytes", 256 << 20, bytes)?,
            time: setting(cx, "timeout", Duration::from_secs(30), time)?,
        })
    }

    /// The lower of each limit.
    pub(crate) fn at_most(self, other: Self) -> Self {
        Self {
            rows: self.rows.min(other.rows),
            bytes: self.bytes.min(other.bytes),
            time: self.time.min(other.time),
        }
    }

    /// No limits.
    pub(crate) const UNLIMITED: Self =
        Self { rows: u64::MAX, bytes: u64::MAX, time: Duration::MAX };

    /// The problem of a response that exceeds a limit.
    pub(crate) fn exceeded(&self, rows: u64, bytes: u64) -> Option<Problem> {
        let problem = |what: String, setting: &str| {
            let detail = format!(
                "the response has more than {what}, and is truncated. Request less, with `top` \
                 or `where`, or raise `{setting}` in the settings of this mount, and in the \
                 request if it is set there"
            );
            Some(
                Problem::new(422, "answer-too-large", "The response is too large", detail)
                    .with("limit", setting),
            )
        };
        if rows > self.rows {
            return problem(format!("{} rows", self.rows), "max_rows");
        }
        if bytes > self.bytes {
            return problem(format!("{} bytes", self.bytes), "max_bytes");
        }
        None
    }
}

fn setting<T>(
    cx: &Context,
    name: &str,
    default: T,
    read: fn(&str) -> Result<T, String>,
) -> Result<T, Problem> {
    let Some(text) = cx.setting(name) else { return Ok(default) };
    read(&text).map_err(|why| {
        Problem::internal(format!(
            "the setting `{name} = {text:?}` of this mount is invalid: {why}"
        ))
    })
}

/// Parses a number of rows.
pub(crate) fn rows(text: &str) -> Result<u64, String> {
    let rows = text.parse().ok().filter(|rows| *rows > 0);
    rows.ok_or_else(|| "expected a whole number of at least 1".to_owned())
}

/// Parses a number of bytes, with or without a unit.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit {
        "" | "B" => Some(0),
        "KiB" => Some(10),
        "MiB" => Some(20),
        "GiB" => Some(30),
        _ => None,
    };
    let bytes = shift
        .and_then(|shift| number.parse::<u64>().ok()?.checked_mul(1 << shift))
        .filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| "expected a size such as 64MiB".to_owned())
}

/// Parses a duration, whose milliseconds must fit into 32 bits.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok();
    let fits = |time: &Duration| (1..u128::from(u32::MAX)).contains(&time.as_millis());
    time.filter(fits).ok_or_else(|| "expected a duration such as 30s or 2m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        for (text, expected) in [
            ("64MiB", Some(64 << 20)),
            ("7", Some(7)),
            ("1GiB", Some(1 << 30)),
            ("0", None),
            ("1MB", None),
            ("MiB", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text}");
        }
        assert_eq!(bytes("99999999999GiB").ok(), None);
        for (text, expected) in
            [("30s", Some(30_000)), ("2m", Some(120_000)), ("0s", None), ("90d", None), ("x", None)]
        {
            assert_eq!(time(text).ok().map(|time| time.as_millis()), expected, "{text}");
        }
        assert!(rows("0").is_err() && rows("-1").is_err() && rows("10") == Ok(10));
    }

    #[test]
    fn a_response_at_its_limits_is_allowed() {
        let limits = Limits { rows: 2, bytes: 10, ..Limits::UNLIMITED };
        assert!(limits.exceeded(2, 10).is_none());
        assert!(limits.exceeded(3, 10).unwrap().detail().contains("`max_rows`"));
        assert!(limits.exceeded(2, 11).unwrap().detail().contains("`max_bytes`"));
    }
}
