//! Dates and times as text ([ISO 8601]), and as TDS counts them.
//!
//! TDS counts days since 0001-01-01 or 1900-01-01 and increments of a second since midnight; the
//! scale of a time is the number of digits of its fraction.
//!
//! [ISO 8601]: https://www.rfc-editor.org/rfc/rfc3339

use std::fmt;

use tiberius::time as tds;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// Days from 0001-01-01 to 1900-01-01.
const DAYS_TO_1900: i32 = 693_595;

/// 0001-01-01 as a Julian day.
const YEAR_ONE: i32 = 1_721_426;

/// The largest scale of a time.
const MAX_SCALE: u8 = 7;

/// The scale of nanoseconds.
const NANOSECOND_SCALE: u8 = 9;

/// The largest offset from UTC, in minutes.
const MAX_OFFSET: i16 = 14 * 60;

/// The server sent a date or a time that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server sent an invalid date or time")]
pub(crate) struct InvalidDateTime;

type Result<T> = std::result::Result<T, InvalidDateTime>;

/// The text of a `date`.
pub(crate) fn format_date(date: tds::Date) -> Result<String> {
    let date = date_from_days(date.days()).ok_or(InvalidDateTime)?;
    Ok(DateText(date).to_string())
}

/// The text of a `time`.
pub(crate) fn format_time(time: tds::Time) -> Result<String> {
    let scale = time.scale();
    let time = time_from_increments(time.increments(), scale).ok_or(InvalidDateTime)?;
    Ok(TimeText { time, scale }.to_string())
}

/// The text of a `datetime2`.
pub(crate) fn format_datetime2(datetime: tds::DateTime2) -> Result<String> {
    let scale = datetime.time().scale();
    let datetime = to_datetime(datetime).ok_or(InvalidDateTime)?;
    let (date, time) = (DateText(datetime.date()), TimeText { time: datetime.time(), scale });
    Ok(format!("{date}T{time}"))
}

/// The text of a `datetime`. It counts 300 to a second, which the server itself rounds to
/// milliseconds.
pub(crate) fn format_datetime(datetime: tds::DateTime) -> Result<String> {
    const SCALE: u8 = 3;
    let date = date_since_1900(datetime.days());
    let milliseconds = (u64::from(datetime.seconds_fragments()) * 1000 + 150) / 300;
    let time = time_from_increments(milliseconds, SCALE);
    let (date, time) = date.zip(time).ok_or(InvalidDateTime)?;
    Ok(format!("{}T{}", DateText(date), TimeText { time, scale: SCALE }))
}

/// The text of a `smalldatetime`. It counts minutes.
pub(crate) fn format_smalldatetime(datetime: tds::SmallDateTime) -> Result<String> {
    let date = date_since_1900(datetime.days().into());
    let time = time_from_increments(u64::from(datetime.seconds_fragments()) * 60, 0);
    let (date, time) = date.zip(time).ok_or(InvalidDateTime)?;
    Ok(format!("{}T{}", DateText(date), TimeText { time, scale: 0 }))
}

/// The text of a `datetimeoffset`: the local time, and its offset from UTC.
pub(crate) fn format_datetimeoffset(datetime: tds::DateTimeOffset) -> Result<String> {
    let minutes = datetime.offset();
    let scale = datetime.datetime2().time().scale();
    let local = to_local_time(datetime).ok_or(InvalidDateTime)?;
    let (date, time) = (DateText(local.date()), TimeText { time: local.time(), scale });
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.unsigned_abs();
    Ok(format!("{date}T{time}{sign}{:02}:{:02}", minutes / 60, minutes % 60))
}

/// The `date` of a text such as `2024-02-29`.
pub(crate) fn parse_date(text: &str) -> Option<tds::Date> {
    to_tds_date(read_date(text)?)
}

/// The `time` of a text such as `23:59:59.9999999`, with the scale of the text.
pub(crate) fn parse_time(text: &str) -> Option<tds::Time> {
    let (time, scale) = read_time(text)?;
    Some(to_tds_time(time, scale))
}

/// The `datetime2` of a text such as `2024-02-29T23:59:59`.
pub(crate) fn parse_datetime2(text: &str) -> Option<tds::DateTime2> {
    let (datetime, scale) = read_datetime(text)?;
    to_tds_datetime2(datetime, scale)
}

/// The `datetimeoffset` of a text such as `2024-02-29T23:59:59-03:30`, or with a `Z` for UTC.
pub(crate) fn parse_datetimeoffset(text: &str) -> Option<tds::DateTimeOffset> {
    let (local, minutes) = match text.strip_suffix('Z') {
        Some(local) => (local, 0),
        None => {
            let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
            (local, read_offset(offset)?)
        }
    };
    let (local, scale) = read_datetime(local)?;
    let utc = local.assume_offset(utc_offset(minutes)?).checked_to_offset(UtcOffset::UTC)?;
    let utc = PrimitiveDateTime::new(utc.date(), utc.time());
    Some(tds::DateTimeOffset::new(to_tds_datetime2(utc, scale)?, minutes))
}

struct DateText(Date);

impl fmt::Display for DateText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.0.to_calendar_date();
        write!(f, "{year:04}-{:02}-{day:02}", u8::from(month))
    }
}

/// A time with as many digits of its fraction as its scale.
struct TimeText {
    time: Time,
    scale: u8,
}

impl fmt::Display for TimeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second) = self.time.as_hms();
        write!(f, "{hour:02}:{minute:02}:{second:02}")?;
        if self.scale > 0 {
            let fraction = fraction(self.time, self.scale);
            write!(f, ".{fraction:0width$}", width = usize::from(self.scale))?;
        }
        Ok(())
    }
}

fn to_datetime(datetime: tds::DateTime2) -> Option<PrimitiveDateTime> {
    let date = date_from_days(datetime.date().days())?;
    let time = time_from_increments(datetime.time().increments(), datetime.time().scale())?;
    Some(PrimitiveDateTime::new(date, time))
}

fn to_local_time(datetime: tds::DateTimeOffset) -> Option<OffsetDateTime> {
    let utc = to_datetime(datetime.datetime2())?.assume_utc();
    utc.checked_to_offset(utc_offset(datetime.offset())?)
}

fn utc_offset(minutes: i16) -> Option<UtcOffset> {
    UtcOffset::from_whole_seconds(i32::from(minutes) * 60).ok()
}

fn date_from_days(days: u32) -> Option<Date> {
    Date::from_julian_day(YEAR_ONE.checked_add_unsigned(days)?).ok()
}

fn date_since_1900(days: i32) -> Option<Date> {
    Date::from_julian_day(YEAR_ONE.checked_add(DAYS_TO_1900)?.checked_add(days)?).ok()
}

fn time_from_increments(increments: u64, scale: u8) -> Option<Time> {
    let per_second = 10_u64.checked_pow(scale.into())?;
    let (seconds, fraction) = (increments / per_second, increments % per_second);
    let nanoseconds = fraction * 10_u64.pow(NANOSECOND_SCALE.checked_sub(scale)?.into());
    let hour = u8::try_from(seconds / 3600).ok()?;
    let (minute, second) = ((seconds / 60 % 60) as u8, (seconds % 60) as u8);
    Time::from_hms_nano(hour, minute, second, u32::try_from(nanoseconds).ok()?).ok()
}

/// The fraction of a second, in increments of a scale of at most 9.
fn fraction(time: Time, scale: u8) -> u32 {
    time.nanosecond() / 10_u32.pow(NANOSECOND_SCALE.saturating_sub(scale).into())
}

fn to_tds_date(date: Date) -> Option<tds::Date> {
    let days = date.to_julian_day().checked_sub(YEAR_ONE)?;
    Some(tds::Date::new(u32::try_from(days).ok()?))
}

fn to_tds_time(time: Time, scale: u8) -> tds::Time {
    let (hour, minute, second) = time.as_hms();
    let seconds = (u64::from(hour) * 60 + u64::from(minute)) * 60 + u64::from(second);
    let increments = seconds * 10_u64.pow(scale.into()) + u64::from(fraction(time, scale));
    tds::Time::new(increments, scale)
}

fn to_tds_datetime2(datetime: PrimitiveDateTime, scale: u8) -> Option<tds::DateTime2> {
    let date = to_tds_date(datetime.date())?;
    Some(tds::DateTime2::new(date, to_tds_time(datetime.time(), scale)))
}

fn read_date(text: &str) -> Option<Date> {
    let (year, rest) = text.split_at_checked(4)?;
    let (month, day) = rest.strip_prefix('-')?.split_once('-')?;
    let month = Month::try_from(digits::<u8>(month, 2)?).ok()?;
    Date::from_calendar_date(digits(year, 4)?, month, digits(day, 2)?).ok()
}

/// A time and its scale. The seconds may be left out.
fn read_time(text: &str) -> Option<(Time, u8)> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let mut parts = whole.split(':').map(|part| digits::<u8>(part, 2));
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    if parts.next().is_some() || fraction == Some("") {
        return None;
    }
    let scale = u8::try_from(fraction.map_or(0, str::len)).ok()?;
    if scale > MAX_SCALE {
        return None;
    }
    let fraction = fraction.map_or(Some(0), |text| digits::<u32>(text, scale.into()))?;
    let nanoseconds = fraction * 10_u32.pow((NANOSECOND_SCALE - scale).into());
    Some((Time::from_hms_nano(hour, minute, second, nanoseconds).ok()?, scale))
}

fn read_datetime(text: &str) -> Option<(PrimitiveDateTime, u8)> {
    let (date, time) = text.split_at_checked(10)?;
    let (time, scale) = read_time(time.strip_prefix(['T', ' '])?)?;
    Some((PrimitiveDateTime::new(read_date(date)?, time), scale))
}

/// The minutes of an offset such as `-03:30`.
fn read_offset(text: &str) -> Option<i16> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text.strip_prefix(['+', '-'])?.split_once(':')?;
    let (hours, minutes) = (digits::<i16>(hours, 2)?, digits::<i16>(minutes, 2)?);
    let offset = hours * 60 + minutes;
    (minutes < 60 && offset <= MAX_OFFSET).then_some(sign * offset)
}

/// A number of exactly so many digits.
fn digits<N: std::str::FromStr>(text: &str, count: usize) -> Option<N> {
    let fits = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatting_reverses_parsing() {
        for text in
            ["0001-01-01", "1899-12-31", "1900-01-01", "2024-02-29", "2026-11-21", "9999-12-31"]
        {
            assert_eq!(format_date(parse_date(text).unwrap()).unwrap(), text);
        }
        for text in ["00:00:00", "23:59:59.9999999", "09:30:00.0000001", "12:00:00.5"] {
            assert_eq!(format_time(parse_time(text).unwrap()).unwrap(), text);
        }
        for text in ["0001-01-01T00:00:00.0000001", "9999-12-31T23:59:59.9999999"] {
            assert_eq!(format_datetime2(parse_datetime2(text).unwrap()).unwrap(), text);
        }
        for text in [
            "2026-11-21T09:30:00.1234567+01:00",
            "2026-01-01T00:30:00.0000000+14:00",
            "2025-12-31T23:59:59.9999999-14:00",
            "2024-02-29T23:59:59+00:00",
            "9999-12-31T23:59:59+14:00",
        ] {
            assert_eq!(format_datetimeoffset(parse_datetimeoffset(text).unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn a_datetimeoffset_is_sent_in_utc() {
        let datetime = parse_datetimeoffset("2026-11-21T09:30:00Z").unwrap();
        let elsewhere = parse_datetimeoffset("2026-11-21T10:30:00+01:00").unwrap();
        assert_eq!(datetime.datetime2(), elsewhere.datetime2());
        assert_eq!((datetime.offset(), elsewhere.offset()), (0, 60));
        assert_eq!(datetime.datetime2(), parse_datetime2("2026-11-21 09:30").unwrap());
    }

    #[test]
    fn the_older_types_are_formatted_as_the_server_does() {
        for (days, fragments, text) in [
            (-53_690, 0, "1753-01-01T00:00:00.000"),
            (0, 299, "1900-01-01T00:00:00.997"),
            (2_958_463, 25_919_999, "9999-12-31T23:59:59.997"),
        ] {
            assert_eq!(format_datetime(tds::DateTime::new(days, fragments)).unwrap(), text);
        }
        let latest = tds::SmallDateTime::new(65_535, 1439);
        assert_eq!(format_smalldatetime(latest).unwrap(), "2079-06-06T23:59:00");
    }

    #[test]
    fn a_text_in_another_form_is_rejected() {
        for text in [
            "",
            "2026-02-29",
            "2026-13-01",
            "2026-1-1",
            "0000-01-01",
            "+026-01-01",
            "2026-11-21T",
            "é026-01-01",
        ] {
            assert!(parse_date(text).is_none(), "{text}");
        }
        for text in [
            "",
            "24:00:00",
            "09:60:00",
            "09:30:60",
            "9:30:00",
            "09:30:00.",
            "09:30:00.12345678",
            "09:30:00.x",
            "09",
            "1:2:3:4",
        ] {
            assert!(parse_time(text).is_none(), "{text}");
        }
        for text in [
            "2026-11-21T09:30:00",
            "2026-11-21T09:30:00+15:00",
            "2026-11-21T09:30:00+01:60",
            "2026-11-21T09:30:00+1:00",
            "0001-01-01T00:00:00+01:00",
        ] {
            assert!(parse_datetimeoffset(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_date_or_time_that_does_not_exist_is_an_error() {
        assert_eq!(format_time(tds::Time::new(86_400, 0)), Err(InvalidDateTime));
        assert_eq!(format_date(tds::Date::new(3_652_059)), Err(InvalidDateTime));
        let date = tds::Date::new(3_652_058);
        let datetime = tds::DateTime2::new(date, tds::Time::new(86_399, 0));
        let elsewhere = tds::DateTimeOffset::new(datetime, 60);
        assert_eq!(format_datetimeoffset(elsewhere), Err(InvalidDateTime));
    }
}
