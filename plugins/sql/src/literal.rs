//! Syntax of values that are sent as text: dates, times, decimals and identifiers.
//!
//! Only the form is checked. The server rejects a date that does not exist.

/// Whether `text` is digits with an optional sign and decimal point, at most `max_digits` of them
/// significant.
pub(crate) fn is_decimal(text: &str, max_digits: usize) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let significant =
        whole.trim_start_matches('0').len() + if digits.contains('.') { fraction.len() } else { 0 };
    is_digits(whole) && is_digits(fraction) && significant <= max_digits
}

/// Whether a text matches a pattern: `0` matches a digit, `x` a hexadecimal digit, any other
/// character itself.
fn matches_pattern(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(byte, expected)| match expected {
            b'0' => byte.is_ascii_digit(),
            b'x' => byte.is_ascii_hexdigit(),
            expected => byte == expected,
        })
}

/// `2026-11-21`.
pub(crate) fn is_date(text: &str) -> bool {
    matches_pattern(text, "0000-00-00")
}

/// `09:30:00.1234567`, with at most seven fractional digits.
pub(crate) fn is_time(text: &str) -> bool {
    match text.split_once('.') {
        None => matches_pattern(text, "00:00:00"),
        Some((time, fraction)) => {
            matches_pattern(time, "00:00:00")
                && (1..=7).contains(&fraction.len())
                && fraction.bytes().all(|b| b.is_ascii_digit())
        }
    }
}

/// A date, `T`, and a time.
pub(crate) fn is_datetime(text: &str) -> bool {
    text.split_once('T').is_some_and(|(date, time)| is_date(date) && is_time(time))
}

/// Normalizes a date and time with an offset from UTC. `Z`, as JavaScript writes it, becomes
/// `+00:00`. `None` if the form is invalid.
pub(crate) fn datetimeoffset(text: &str) -> Option<String> {
    if let Some(datetime) = text.strip_suffix('Z') {
        return is_datetime(datetime).then(|| format!("{datetime}+00:00"));
    }
    let (datetime, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let is_offset = matches_pattern(offset, "+00:00") || matches_pattern(offset, "-00:00");
    (is_offset && is_datetime(datetime)).then(|| text.to_owned())
}

/// `00112233-4455-6677-8899-AABBCCDDEEFF`.
pub(crate) fn is_uniqueidentifier(text: &str) -> bool {
    matches_pattern(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_has_at_most_the_given_number_of_digits() {
        for (text, fits) in [
            ("1", true),
            ("-1.50", true),
            ("+0.1", true),
            ("00012345", true),
            ("123456", false),
            ("0.12345", true),
            ("0.123456", false),
            ("1.23456", false),
            ("", false),
            ("-", false),
            (".", false),
            ("1.", false),
            (".5", false),
            ("1e3", false),
            ("--1", false),
        ] {
            assert_eq!(is_decimal(text, 5), fits, "{text}");
        }
    }

    #[test]
    fn a_time_has_at_most_seven_fractional_digits() {
        assert!(is_time("09:30:00") && is_time("09:30:00.1234567"));
        assert!(!is_time("09:30") && !is_time("09:30:00.") && !is_time("09:30:00.12345678"));
        assert!(is_datetime("2026-11-21T09:30:00") && !is_datetime("2026-11-21 09:30:00"));
    }

    #[test]
    fn an_offset_is_required_and_z_is_accepted() {
        let plain = "2026-11-21T09:30:00";
        for (offset, expected) in [
            ("+01:00", Some("+01:00")),
            ("-11:30", Some("-11:30")),
            ("Z", Some("+00:00")),
            ("", None),
            ("é01:00", None),
        ] {
            let expected = expected.map(|offset| format!("{plain}{offset}"));
            assert_eq!(datetimeoffset(&format!("{plain}{offset}")), expected, "{offset}");
        }
        assert_eq!(datetimeoffset(""), None);
    }
}
