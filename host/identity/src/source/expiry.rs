//! Expiry times, in every form that token endpoints use.
//!
//! | form | used by |
//! |---|---|
//! | `1700086400`, `"1700086400"`, `1700086400.5` | IMDS, Azure Arc, Service Fabric |
//! | `2023-11-15T22:13:20.1234567+00:00`, `...Z` | Azure Stack |
//! | `2023-11-15 22:13:20.123456` | the Azure CLI |
//! | `11/15/2023 10:13:20 PM +00:00` | App Service on Windows |
//! | `11/15/2023 22:13:20 +00:00` | App Service on Linux |
//! | `Wed, 15 Nov 2023 22:13:20 GMT` | gateways in front of one of them |
//!
//! The SDKs' own tests have them ([.NET], [Java]). A date without an offset is UTC, as all of the
//! platform's times are.
//!
//! [.NET]: https://github.com/Azure/azure-sdk-for-net/issues/12869
//! [Java]: https://github.com/Azure/azure-sdk-for-java/blob/main/sdk/identity/azure-identity/src/test/java/com/azure/identity/implementation/MSITokenTests.java

use serde::Deserialize;
use time::{Date, Month, PrimitiveDateTime, Time, UtcOffset};

/// The end of the year 9999. Larger numbers are not seconds.
const LATEST: u64 = 253_402_300_799;

/// A value of `expires_on` or `expires_in`. Deserializes from any JSON, so that an invalid value
/// does not make the whole response invalid.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum ExpiryValue {
    Integer(u64),
    Float(f64),
    String(String),
    Other(serde::de::IgnoredAny),
}

impl ExpiryValue {
    /// The value as an instant, in seconds since 1970-01-01T00:00:00Z.
    pub(super) fn instant(&self) -> Option<u64> {
        match self {
            Self::Integer(_) | Self::Float(_) => self.seconds(),
            Self::String(text) => {
                let text = text.trim();
                seconds(text).or_else(|| date(text)).filter(|instant| *instant <= LATEST)
            }
            Self::Other(_) => None,
        }
    }

    /// The value as a number of seconds.
    pub(super) fn seconds(&self) -> Option<u64> {
        let seconds = match self {
            Self::Integer(seconds) => Some(*seconds),
            Self::Float(seconds) => floor(*seconds),
            Self::String(text) => seconds(text.trim()),
            Self::Other(_) => None,
        };
        seconds.filter(|seconds| *seconds <= LATEST)
    }
}

/// Rounds down, so that a token is not used after it expires.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn floor(seconds: f64) -> Option<u64> {
    (0.0..=LATEST as f64).contains(&seconds).then_some(seconds as u64)
}

/// Parses digits with an optional fraction, which is dropped.
fn seconds(text: &str) -> Option<u64> {
    let (integer, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if is_digits(integer) && is_digits(fraction) { integer.parse().ok() } else { None }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn date(text: &str) -> Option<u64> {
    iso(text).or_else(|| american(text)).or_else(|| rfc1123(text))
}

fn rfc1123(text: &str) -> Option<u64> {
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(std::time::SystemTime::UNIX_EPOCH).ok()?.as_secs())
}

/// Parses `yyyy-MM-ddTHH:mm:ss[.fffffff][Z|+hh:mm]`, with `T` or a space.
fn iso(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let rest = rest.trim_start();
    let split = rest.find(['Z', 'z', '+', '-', ' ']).unwrap_or(rest.len());
    let (time, offset) = rest.split_at_checked(split)?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    if !is_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    instant(numbers(date, '-', [4, 2, 2])?, numbers(time, ':', [2, 2, 2])?, offset.trim())
}

/// Parses `M/d/yyyy h:mm:ss [AM|PM] [+hh:mm]`. With AM or PM, some endpoints write 0 for 12, and
/// some write 13 to 23.
fn american(text: &str) -> Option<u64> {
    let mut words = text.split_ascii_whitespace();
    let [month, day, year] = numbers(words.next()?, '/', [2, 2, 4])?;
    let [hour, minute, second] = numbers(words.next()?, ':', [2, 2, 2])?;
    let mut word = words.next();
    let is_pm = word.and_then(|word| match word.to_ascii_lowercase().as_str() {
        "am" => Some(false),
        "pm" => Some(true),
        _ => None,
    });
    if is_pm.is_some() {
        word = words.next();
    }
    if words.next().is_some() {
        return None;
    }
    let hour = match (is_pm, hour) {
        (None, hour) | (Some(true), hour @ 12..) | (Some(false), hour @ 0..12) => hour,
        (Some(true), hour) => hour + 12,
        (Some(false), 12) => 0,
        (Some(false), _) => return None,
    };
    instant([year, month, day], [hour, minute, second], word.unwrap_or_default())
}

/// Parses three numbers with a separator and at most so many digits; one of four digits has exactly
/// four.
fn numbers(text: &str, separator: char, lengths: [usize; 3]) -> Option<[u16; 3]> {
    let mut parts = text.split(separator);
    let mut next = |length: usize| {
        let part = parts.next()?;
        let has_length = part.len() <= length && (length < 4 || part.len() == 4);
        if has_length && is_digits(part) { part.parse().ok() } else { None }
    };
    let [a, b, c] = lengths;
    let numbers = [next(a)?, next(b)?, next(c)?];
    parts.next().is_none().then_some(numbers)
}

fn instant(date: [u16; 3], time: [u16; 3], offset: &str) -> Option<u64> {
    let small = |number: u16| u8::try_from(number).ok();
    let ([year, month, day], [hour, minute, second]) = (date, time);
    let month = Month::try_from(small(month)?).ok()?;
    let date = Date::from_calendar_date(i32::from(year), month, small(day)?).ok()?;
    let time = Time::from_hms(small(hour)?, small(minute)?, small(second)?).ok()?;
    let instant = PrimitiveDateTime::new(date, time).assume_offset(utc_offset(offset)?);
    u64::try_from(instant.unix_timestamp()).ok()
}

/// Parses nothing, `Z`, `UTC`, `GMT`, `+hh:mm` or `+hhmm`.
fn utc_offset(text: &str) -> Option<UtcOffset> {
    if ["", "Z", "UTC", "GMT"].iter().any(|utc| text.eq_ignore_ascii_case(utc)) {
        return Some(UtcOffset::UTC);
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+')?),
    };
    let digits: String = digits.split(':').collect();
    if digits.len() != 4 || !is_digits(&digits) {
        return None;
    }
    let (hours, minutes) = digits.split_at_checked(2)?;
    let (hours, minutes): (i8, i8) = (hours.parse().ok()?, minutes.parse().ok()?);
    if minutes > 59 {
        return None;
    }
    UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(json: &str) -> ExpiryValue {
        serde_json::from_str(json).unwrap()
    }

    fn string(text: &str) -> ExpiryValue {
        ExpiryValue::String(text.to_owned())
    }

    /// 2020-01-10T15:03:28Z, the instant of the Java SDK's tests.
    const AT: u64 = 1_578_668_608;

    #[test]
    fn every_documented_form_is_parsed() {
        for json in [
            "1578668608",
            "1578668608.0",
            "1578668608.999",
            "1.578668608e9",
            r#""1578668608""#,
            r#"" 1578668608 ""#,
            r#""1578668608.25""#,
            r#""2020-01-10T15:03:28Z""#,
            r#""2020-01-10t15:03:28z""#,
            r#""2020-01-10T15:03:28""#,
            r#""2020-01-10T15:03:28.1234567Z""#,
            r#""2020-01-10T15:03:28.1234567+00:00""#,
            r#""2020-01-10T15:03:28+00:00""#,
            r#""2020-01-10T15:03:28+0000""#,
            r#""2020-01-10T17:33:28.1234567+02:30""#,
            r#""2020-01-10T07:03:28-08:00""#,
            r#""2020-01-09T23:03:28.0000000-16:00""#,
            r#""2020-01-10 15:03:28""#,
            r#""2020-01-10 15:03:28.123456""#,
            r#""2020-01-10 15:03:28 +00:00""#,
            r#""2020-01-10 15:03:28.123 UTC""#,
            r#""01/10/2020 15:03:28 +00:00""#,
            r#""1/10/2020 15:03:28 +00:00""#,
            r#""1/10/2020 3:03:28 PM +00:00""#,
            r#""01/10/2020 03:03:28 PM +00:00""#,
            r#""1/10/2020 3:03:28 pm""#,
            r#""1/10/2020 15:03:28 PM +00:00""#,
            r#""1/10/2020 15:03:28""#,
            r#""1/10/2020 8:33:28 PM +05:30""#,
            r#""Fri, 10 Jan 2020 15:03:28 GMT""#,
            r#""Friday, 10-Jan-20 15:03:28 GMT""#,
            r#""Fri Jan 10 15:03:28 2020""#,
        ] {
            assert_eq!(value(json).instant(), Some(AT), "{json}");
        }
    }

    #[test]
    fn noon_and_midnight_are_12_with_am_or_pm() {
        const MIDNIGHT: u64 = 1_577_836_800;
        const HOUR: u64 = 3600;
        for (text, expected) in [
            ("1/1/2020 12:00:00 AM +00:00", MIDNIGHT),
            ("1/1/2020 0:00:00 AM +00:00", MIDNIGHT),
            ("1/1/2020 0:00:00 +00:00", MIDNIGHT),
            ("1/1/2020 12:00:00 PM +00:00", MIDNIGHT + 12 * HOUR),
            ("1/1/2020 0:00:00 PM +00:00", MIDNIGHT + 12 * HOUR),
            ("1/1/2020 11:59:59 PM +00:00", MIDNIGHT + 24 * HOUR - 1),
            ("12/31/2019 11:59:59 PM +00:00", MIDNIGHT - 1),
            ("2/29/2020 1:00:00 AM +00:00", MIDNIGHT + 59 * 24 * HOUR + HOUR),
        ] {
            assert_eq!(string(text).instant(), Some(expected), "{text}");
        }
    }

    #[test]
    fn an_invalid_instant_is_rejected() {
        for json in [
            r#""""#,
            r#"" ""#,
            r#""N/A""#,
            r#""soon""#,
            "-1",
            "-1.5",
            r#""-1""#,
            r#""+1""#,
            r#""0x10""#,
            "true",
            "[1578668608]",
            "{}",
            "1578668608000",
            r#""1578668608000""#,
            "1e300",
            "18446744073709551615",
            r#""99999999999999999999999""#,
            r#""1578668608.""#,
            r#"".5""#,
            r#""2020-13-10T15:03:28Z""#,
            r#""2020-02-30T15:03:28Z""#,
            r#""2020-01-10T24:03:28Z""#,
            r#""2020-01-10T15:60:28Z""#,
            r#""2020-01-10T15:03:28+00:99""#,
            r#""2020-01-10T15:03:28+99:00""#,
            r#""2020-01-10T15:03Z""#,
            r#""2020-01-10T15:03:28.Z""#,
            r#""2020-01-10T15:03:28 Europe/Berlin""#,
            r#""20-01-10T15:03:28Z""#,
            r#""2020-01-10""#,
            r#""31/12/2019 15:03:28 +00:00""#,
            r#""1/10/20 15:03:28 +00:00""#,
            r#""1/10/2020 15:03:28 AM +00:00""#,
            r#""1/10/2020 3:03 PM +00:00""#,
            r#""1/10/2020 3:03:28 XM +00:00""#,
            r#""1/10/2020 3:03:28 PM +00:00 x""#,
            r#""1/1/1960 0:00:00 +00:00""#,
        ] {
            assert_eq!(value(json).instant(), None, "{json}");
        }
    }

    #[test]
    fn a_number_of_seconds_is_not_a_date() {
        let seconds = |json| value(json).seconds();
        assert_eq!(seconds("3599"), Some(3599));
        assert_eq!(seconds(r#""3599""#), Some(3599));
        assert_eq!(seconds("3599.7"), Some(3599));
        assert_eq!(seconds(r#""2020-01-10T15:03:28Z""#), None);
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(text in "\\PC*") {
            let _ = ExpiryValue::String(text).instant();
        }

        #[test]
        fn text_like_a_date_does_not_panic(text in "[0-9/:. TZ+\\-APM]{0,40}") {
            let _ = ExpiryValue::String(text).instant();
        }

        #[test]
        fn an_instant_in_arbitrary_json_is_rejected_or_before_the_year_10000(
            text in "[0-9eE.+\\-\\[\\]{}\",:tfn]{0,20}"
        ) {
            if let Ok(value) = serde_json::from_str::<ExpiryValue>(&text) {
                prop_assert!(value.instant().is_none_or(|instant| instant <= LATEST));
            }
        }

        #[test]
        fn an_instant_is_parsed_from_every_form(
            at in 0_u64..=LATEST - 86_400, minutes in -840_i32..=840, ticks in 0_u32..10_000_000
        ) {
            let zone = UtcOffset::from_whole_seconds(minutes * 60).unwrap();
            let local = time::OffsetDateTime::from_unix_timestamp(at as i64).unwrap();
            let local = local.to_offset(zone);
            prop_assume!((1000..=9999).contains(&local.year()));
            let (y, mo, d) = (local.year(), u8::from(local.month()), local.day());
            let (h, mi, s) = local.to_hms();
            let sign = if minutes < 0 { '-' } else { '+' };
            let offset = format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
            let (half, h12) = (if h < 12 { "AM" } else { "PM" }, (h + 11) % 12 + 1);
            for text in [
                at.to_string(),
                format!("{at}.{ticks:07}"),
                format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{ticks:07}{offset}"),
                format!("{y:04}-{mo:02}-{d:02} {h:02}:{mi:02}:{s:02}{offset}"),
                format!("{mo}/{d}/{y:04} {h12}:{mi:02}:{s:02} {half} {offset}"),
                format!("{mo:02}/{d:02}/{y:04} {h:02}:{mi:02}:{s:02} {offset}"),
            ] {
                prop_assert_eq!(string(&text).instant(), Some(at), "{}", text);
            }
        }
    }
}
