//! How much an answer may be, and how long it may take.
//!
//! The mount's settings say the most, and a request may ask for less. An answer that would be more
//! is an error, and never a part of the answer that looks like all of it.

use std::time::Duration;

use keyward_plugin::{Context, Problem};

/// What holds for one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Rows, of all result sets together.
    pub(crate) rows: u64,
    /// Bytes of the answer.
    pub(crate) bytes: u64,
    /// From the start of the statement to its last row.
    pub(crate) time: Duration,
}

impl Limits {
    /// The mount's.
    pub(crate) fn of(cx: &Context) -> Result<Self, Problem> {
        Ok(Self {
            rows: setting(cx, "max_rows", 1_000_000, rows)?,
            bytes: setting(cx, "max_bytes", 256 << 20, bytes)?,
            time: setting(cx, "timeout", Duration::from_secs(30), time)?,
        })
    }

    /// With the least of each.
    pub(crate) fn at_most(self, other: Self) -> Self {
        Self {
            rows: self.rows.min(other.rows),
            bytes: self.bytes.min(other.bytes),
            time: self.time.min(other.time),
        }
    }

    /// None at all.
    pub(crate) const NONE: Self = Self { rows: u64::MAX, bytes: u64::MAX, time: Duration::MAX };

    /// The answer has more rows, or is longer.
    pub(crate) fn exceeded(&self, rows: u64, bytes: u64) -> Option<Problem> {
        let problem = |what: String, setting: &str| {
            let detail = format!(
                "the answer has more than {what}, and the response is truncated. Ask for less, \
                 with `top` or `where`, \
                 or raise `{setting}` in the settings of this mount, and in the request where it \
                 has one"
            );
            Some(
                Problem::new(422, "answer-too-large", "The answer is too large", detail)
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
            "the setting `{name} = {text:?}` of this mount cannot be used: {why}"
        ))
    })
}

/// A number of rows.
pub(crate) fn rows(text: &str) -> Result<u64, String> {
    let rows = text.parse().ok().filter(|rows| *rows > 0);
    rows.ok_or_else(|| "a whole number from 1 is expected".to_owned())
}

/// A number of bytes, with a unit or without.
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
    bytes.ok_or_else(|| "a size is expected, such as 64MiB".to_owned())
}

/// A time, in full milliseconds that fit into 32 bits.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok();
    let fits = |time: &Duration| (1..u128::from(u32::MAX)).contains(&time.as_millis());
    time.filter(fits).ok_or_else(|| "a time is expected, such as 30s or 2m".to_owned())
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
    fn the_last_row_that_may_be_is_no_error() {
        let limits = Limits { rows: 2, bytes: 10, ..Limits::NONE };
        assert!(limits.exceeded(2, 10).is_none());
        assert!(limits.exceeded(3, 10).unwrap().detail().contains("`max_rows`"));
        assert!(limits.exceeded(2, 11).unwrap().detail().contains("`max_bytes`"));
    }
}
