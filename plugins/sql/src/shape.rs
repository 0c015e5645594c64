//! How values look that are texts on their way: dates, times, decimals.
//!
//! Whether there is such a day, the server says.

/// Whether it is digits with a sign and a point where there is one, and at most so many of them
/// count.
pub(crate) fn is_decimal(text: &str, most: usize) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let counted =
        whole.trim_start_matches('0').len() + if digits.contains('.') { part.len() } else { 0 };
    is_digits(whole) && is_digits(part) && counted <= most
}

/// Whether a text is of this form: `0` for a digit, `x` for one of base 16, all else for itself.
fn is_like(text: &str, form: &str) -> bool {
    text.len() == form.len()
        && text.bytes().zip(form.bytes()).all(|(byte, like)| match like {
            b'0' => byte.is_ascii_digit(),
            b'x' => byte.is_ascii_hexdigit(),
            like => byte == like,
        })
}

/// `2026-11-21`.
pub(crate) fn is_date(text: &str) -> bool {
    is_like(text, "0000-00-00")
}

/// `09:30:00.1234567`, with up to seven digits behind the point, or no point.
pub(crate) fn is_time(text: &str) -> bool {
    match text.split_once('.') {
        None => is_like(text, "00:00:00"),
        Some((time, part)) => {
            is_like(time, "00:00:00")
                && (1..=7).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_digit())
        }
    }
}

/// A date, `T`, and a time.
pub(crate) fn is_datetime(text: &str) -> bool {
    text.split_once('T').is_some_and(|(date, time)| is_date(date) && is_time(time))
}

/// A date, a time, and how far it is from Greenwich. `Z` is what JavaScript writes for `+00:00`.
pub(crate) fn datetimeoffset(text: &str) -> Option<String> {
    if let Some(datetime) = text.strip_suffix('Z') {
        return is_datetime(datetime).then(|| format!("{datetime}+00:00"));
    }
    let (datetime, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let is_offset = is_like(offset, "+00:00") || is_like(offset, "-00:00");
    (is_offset && is_datetime(datetime)).then(|| text.to_owned())
}

/// `00112233-4455-6677-8899-AABBCCDDEEFF`.
pub(crate) fn is_uniqueidentifier(text: &str) -> bool {
    is_like(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_has_as_many_digits_as_the_server_takes() {
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
    fn a_time_has_seven_digits_at_most() {
        assert!(is_time("09:30:00") && is_time("09:30:00.1234567"));
        assert!(!is_time("09:30") && !is_time("09:30:00.") && !is_time("09:30:00.12345678"));
        assert!(is_datetime("2026-11-21T09:30:00") && !is_datetime("2026-11-21 09:30:00"));
    }

    #[test]
    fn an_offset_is_needed_and_z_is_one() {
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
