//! Dates and times, as text ([ISO 8601]) and as TDS counts them: days from the year 1, and parts of a second.
//!
//! [ISO 8601]: https://www.rfc-editor.org/rfc/rfc3339

use tiberius::time::{Date, DateTime, DateTime2, DateTimeOffset, SmallDateTime, Time};
use time::Month;

/// The days from 0001-01-01 to 1900-01-01, where `datetime` begins.
const TO_1900: i32 = 693_595;

/// 0001-01-01 as a Julian day.
const YEAR_ONE: i32 = 1_721_426;

/// The most digits of a second.
const DIGITS: u8 = 7;

fn days_to_text(days: i32) -> Option<String> {
    let date = time::Date::from_julian_day(YEAR_ONE.checked_add(days)?).ok()?;
    Some(format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day()))
}

/// Parts of a second since midnight, each `10^-digits` seconds long.
fn clock_to_text(parts: u64, digits: u8) -> Option<String> {
    let second = 10_u64.checked_pow(digits.into())?;
    let (seconds, fraction) = (parts / second, parts % second);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hour > 23 {
        return None;
    }
    let whole = format!("{hour:02}:{minute:02}:{second:02}");
    Some(if digits == 0 { whole } else { format!("{whole}.{fraction:0width$}", width = usize::from(digits)) })
}

pub(super) fn date_to_text(date: Date) -> Option<String> {
    days_to_text(i32::try_from(date.days()).ok()?)
}

pub(super) fn time_to_text(time: Time) -> Option<String> {
    clock_to_text(time.increments(), time.scale())
}

pub(super) fn datetime2_to_text(datetime: DateTime2) -> Option<String> {
    Some(format!("{}T{}", date_to_text(datetime.date())?, time_to_text(datetime.time())?))
}

/// A `datetime` counts 300 to a second, and is told in thousandths, as the server itself does.
pub(super) fn datetime_to_text(datetime: DateTime) -> Option<String> {
    let days = days_to_text(datetime.days().checked_add(TO_1900)?)?;
    let thousandths = (u64::from(datetime.seconds_fragments()) * 1000 + 150) / 300;
    Some(format!("{days}T{}", clock_to_text(thousandths, 3)?))
}

/// A `smalldatetime` counts minutes.
pub(super) fn smalldatetime_to_text(datetime: SmallDateTime) -> Option<String> {
    let days = days_to_text(i32::from(datetime.days()) + TO_1900)?;
    Some(format!("{days}T{}", clock_to_text(u64::from(datetime.seconds_fragments()) * 60, 0)?))
}

/// On the wire it is the time in UTC and the offset in minutes; as text the time at that place.
pub(super) fn datetimeoffset_to_text(datetime: DateTimeOffset) -> Option<String> {
    let (utc, offset) = (datetime.datetime2(), datetime.offset());
    let (days, parts) = shifted(utc.date().days(), utc.time(), i64::from(offset))?;
    let local = clock_to_text(parts, utc.time().scale())?;
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.unsigned_abs();
    Some(format!("{}T{local}{sign}{:02}:{:02}", days_to_text(days)?, minutes / 60, minutes % 60))
}

/// A time so many minutes later, over midnight where need be.
fn shifted(days: u32, time: Time, minutes: i64) -> Option<(i32, u64)> {
    let second = 10_i64.checked_pow(time.scale().into())?;
    let day = second.checked_mul(86_400)?;
    let parts = i64::try_from(time.increments()).ok()?.checked_add(minutes.checked_mul(60 * second)?)?;
    let days = i64::from(days) + parts.div_euclid(day);
    Some((i32::try_from(days).ok()?, u64::try_from(parts.rem_euclid(day)).ok()?))
}

pub(super) fn date_of(text: &str) -> Option<Date> {
    let (year, rest) = text.split_at_checked(4)?;
    let (month, day) = rest.strip_prefix('-')?.split_once('-')?;
    let month = Month::try_from(digits(month, 2)? as u8).ok()?;
    let date = time::Date::from_calendar_date(i32::try_from(digits(year, 4)?).ok()?, month, digits(day, 2)? as u8);
    let days = date.ok()?.to_julian_day().checked_sub(YEAR_ONE)?;
    Some(Date::new(u32::try_from(days).ok()?))
}

/// A time of day, with as many digits as are written, up to seven.
pub(super) fn time_of(text: &str) -> Option<Time> {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut parts = whole.split(':').map(|part| digits(part, 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let width = fraction.map_or(0, str::len);
    if width > usize::from(DIGITS) || fraction == Some("") {
        return None;
    }
    let scale = u8::try_from(width).ok()?;
    let fraction = fraction.map_or(Some(0), |fraction| digits(fraction, width))?;
    let seconds = hour * 3600 + minute * 60 + second;
    Some(Time::new(seconds * 10_u64.pow(scale.into()) + fraction, scale))
}

pub(super) fn datetime2_of(text: &str) -> Option<DateTime2> {
    let (date, time) = text.split_at_checked(10)?;
    let time = time.strip_prefix(['T', ' '])?;
    Some(DateTime2::new(date_of(date)?, time_of(time)?))
}

pub(super) fn datetimeoffset_of(text: &str) -> Option<DateTimeOffset> {
    let (local, minutes) = match text.strip_suffix('Z') {
        Some(local) => (local, 0),
        None => {
            let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = offset.strip_prefix(['+', '-'])?.split_once(':')?;
            let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
            let offset = hours * 60 + minutes;
            if minutes > 59 || offset > 14 * 60 {
                return None;
            }
            (local, sign * i64::try_from(offset).ok()?)
        }
    };
    let local = datetime2_of(local)?;
    let (days, parts) = shifted(local.date().days(), local.time(), -minutes)?;
    let utc = DateTime2::new(Date::new(u32::try_from(days).ok()?), Time::new(parts, local.time().scale()));
    Some(DateTimeOffset::new(utc, i16::try_from(minutes).ok()?))
}

/// A number of exactly so many digits.
fn digits(text: &str, width: usize) -> Option<u64> {
    let fits = text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_was_read() {
        for text in ["0001-01-01", "1899-12-31", "1900-01-01", "2024-02-29", "2026-11-21", "9999-12-31"] {
            assert_eq!(date_to_text(date_of(text).unwrap()).unwrap(), text);
        }
        for text in ["00:00:00", "23:59:59.9999999", "09:30:00.0000001", "12:00:00.5"] {
            assert_eq!(time_to_text(time_of(text).unwrap()).unwrap(), text);
        }
        for text in [
            "2026-11-21T09:30:00.1234567+01:00",
            "2026-01-01T00:30:00.0000000+14:00",
            "2025-12-31T23:59:59.9999999-14:00",
            "2024-02-29T23:59:59+00:00",
        ] {
            assert_eq!(datetimeoffset_to_text(datetimeoffset_of(text).unwrap()).unwrap(), text);
        }
        assert_eq!(
            datetimeoffset_of("2026-11-21T09:30:00Z"),
            datetimeoffset_of("2026-11-21T10:30:00+01:00").map(|x| { DateTimeOffset::new(x.datetime2(), 0) })
        );
        assert_eq!(datetime2_of("2026-11-21 09:30:00"), datetime2_of("2026-11-21T09:30:00"));
    }

    #[test]
    fn the_old_types_are_told_as_the_server_tells_them() {
        assert_eq!(datetime_to_text(DateTime::new(-53_690, 0)).unwrap(), "1753-01-01T00:00:00.000");
        assert_eq!(datetime_to_text(DateTime::new(0, 299)).unwrap(), "1900-01-01T00:00:00.997");
        assert_eq!(datetime_to_text(DateTime::new(2_958_463, 25_919_999)).unwrap(), "9999-12-31T23:59:59.997");
        assert_eq!(smalldatetime_to_text(SmallDateTime::new(65_535, 1439)).unwrap(), "2079-06-06T23:59:00");
    }

    #[test]
    fn nothing_else_is_a_date_or_a_time() {
        for text in
            ["", "2026-02-29", "2026-13-01", "2026-1-1", "0000-01-01", "+026-01-01", "2026-11-21T", "é026-01-01"]
        {
            assert!(date_of(text).is_none(), "{text}");
        }
        for text in
            ["", "24:00:00", "09:60:00", "9:30:00", "09:30:00.", "09:30:00.12345678", "09:30:00.x", "09", "1:2:3:4"]
        {
            assert!(time_of(text).is_none(), "{text}");
        }
        for text in [
            "2026-11-21T09:30:00",
            "2026-11-21T09:30:00+15:00",
            "2026-11-21T09:30:00+1:00",
            "0001-01-01T00:00:00+01:00",
        ] {
            assert!(datetimeoffset_of(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_time_that_is_none_is_not_told() {
        assert!(time_to_text(Time::new(86_400, 0)).is_none());
        assert!(date_to_text(Date::new(3_652_059)).is_none());
    }
}
