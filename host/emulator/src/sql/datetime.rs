//! Dates and times as text, and as TDS counts them.

use time::format_description::BorrowedFormatItem;
use time::macros::{format_description, offset};
use time::{Date, Duration, OffsetDateTime, Time, UtcOffset};

/// Units of 100 nanoseconds, the finest that SQL Server has, in a second.
pub(super) const UNITS_PER_SECOND: u64 = 10_000_000;

/// The days from 0001-01-01 to 1900-01-01, from which the older types count.
pub(super) const DAYS_TO_1900: i64 = 693_595;

/// The Julian day of 0001-01-01, from which the newer types count.
const JULIAN_DAY_OF_YEAR_1: i64 = 1_721_426;

/// The largest offset from UTC that SQL Server has.
const MAX_OFFSET_HOURS: i8 = 14;

const DATES: [&[BorrowedFormatItem<'_>]; 3] = [
    format_description!("[year]-[month padding:none]-[day padding:none]"),
    format_description!("[year]/[month padding:none]/[day padding:none]"),
    format_description!("[year][month][day]"),
];

const TIME: &[BorrowedFormatItem<'_>] = format_description!(
    "[hour padding:none]:[minute][optional [:[second][optional [.[subsecond]]]]]"
);

const OFFSET: &[BorrowedFormatItem<'_>] =
    format_description!("[offset_hour sign:mandatory]:[offset_minute]");

/// A date and a time of day, with the offset of its clock from UTC. Types without an offset have 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DateTime(OffsetDateTime);

impl DateTime {
    pub(super) fn now() -> Self {
        Self(OffsetDateTime::now_utc())
    }

    /// Reads a date, a time, or both with a space or a `T` between them, and an optional offset:
    /// `2024-05-06`, `13:14:15.1234567`, `2024-05-06T13:14 +02:00`. A time alone is on 1900-01-01.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (date, rest) = match text.split_once(['T', 't', ' ']) {
            Some((date, rest)) if !date.contains(':') => (date, rest.trim()),
            Some(_) => ("", text),
            None if text.contains(':') => ("", text),
            None => (text, ""),
        };
        let (time, offset) = match rest.find(['+', '-', 'Z', 'z']) {
            Some(index) => (rest.get(..index)?.trim(), parse_offset(rest.get(index..)?)?),
            None => (rest, UtcOffset::UTC),
        };
        let date = match date {
            "" => date_of(DAYS_TO_1900)?,
            date => DATES.iter().find_map(|format| Date::parse(date, format).ok())?,
        };
        let time = if time.is_empty() { Time::MIDNIGHT } else { Time::parse(time, TIME).ok()? };
        (date.year() >= 1).then(|| Self(date.with_time(time).assume_offset(offset)))
    }

    /// The time of so many units on the day that is so many days after 0001-01-01. More units than
    /// a day has are of the next days.
    pub(super) fn from_parts(days: i64, units: u64) -> Option<Self> {
        let midnight = date_of(days)?.midnight().assume_utc();
        midnight.checked_add(duration(units)).map(Self)
    }

    /// Days since 0001-01-01.
    pub(super) fn days(self) -> i64 {
        i64::from(self.0.to_julian_day()) - JULIAN_DAY_OF_YEAR_1
    }

    /// Units since midnight.
    pub(super) fn units(self) -> u64 {
        let (hour, minute, second, nanosecond) = self.0.to_hms_nano();
        let seconds = (u64::from(hour) * 60 + u64::from(minute)) * 60 + u64::from(second);
        seconds * UNITS_PER_SECOND + u64::from(nanosecond) / 100
    }

    /// The minutes that its clock is ahead of UTC.
    pub(super) fn offset_minutes(self) -> i16 {
        self.0.offset().whole_minutes()
    }

    /// The same instant by the clock of UTC.
    pub(super) fn to_utc(self) -> Option<Self> {
        self.0.checked_to_offset(offset!(UTC)).map(Self)
    }

    /// The same instant by a clock that is so many minutes ahead of UTC.
    pub(super) fn to_offset(self, minutes: i16) -> Option<Self> {
        let offset = UtcOffset::from_whole_seconds(i32::from(minutes) * 60).ok()?;
        self.0.checked_to_offset(offset).map(Self)
    }

    /// Rounds to so many digits of a second.
    pub(super) fn round(self, scale: u8) -> Self {
        let unit = 10_u64.pow(u32::from(7_u8.saturating_sub(scale)));
        self.with_units((self.units() + unit / 2) / unit * unit)
    }

    /// This day at another time, which may be midnight of the next day.
    pub(super) fn with_units(self, units: u64) -> Self {
        Self(self.0.replace_time(Time::MIDNIGHT).saturating_add(duration(units)))
    }

    /// `2024-05-06`
    pub(super) fn date(self) -> String {
        let (year, month, day) = self.0.to_calendar_date();
        format!("{year:04}-{:02}-{day:02}", u8::from(month))
    }

    /// `13:14:15`, and so many digits of a second.
    pub(super) fn time(self, scale: u8) -> String {
        let (hour, minute, second, nanosecond) = self.0.to_hms_nano();
        let point = if scale == 0 { "" } else { "." };
        let fraction = format!("{:07}", nanosecond / 100);
        let fraction = fraction.get(..usize::from(scale.min(7))).unwrap_or_default();
        format!("{hour:02}:{minute:02}:{second:02}{point}{fraction}")
    }

    /// `2024-05-06 13:14:15`, and so many digits of a second.
    pub(super) fn date_time(self, scale: u8) -> String {
        format!("{} {}", self.date(), self.time(scale))
    }

    /// The same with the offset: ` +02:00`.
    pub(super) fn with_offset(self, scale: u8) -> String {
        let minutes = self.offset_minutes();
        let sign = if minutes < 0 { '-' } else { '+' };
        let minutes = minutes.unsigned_abs();
        format!("{} {sign}{:02}:{:02}", self.date_time(scale), minutes / 60, minutes % 60)
    }
}

fn date_of(days: i64) -> Option<Date> {
    Date::from_julian_day(i32::try_from(days + JULIAN_DAY_OF_YEAR_1).ok()?).ok()
}

fn duration(units: u64) -> Duration {
    let nanoseconds = i32::try_from(units % UNITS_PER_SECOND * 100).unwrap_or_default();
    Duration::new(i64::try_from(units / UNITS_PER_SECOND).unwrap_or(i64::MAX), nanoseconds)
}

fn parse_offset(text: &str) -> Option<UtcOffset> {
    if text.eq_ignore_ascii_case("z") {
        return Some(UtcOffset::UTC);
    }
    let offset = UtcOffset::parse(text, OFFSET).ok()?;
    (offset.whole_minutes().abs() <= i16::from(MAX_OFFSET_HOURS) * 60).then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_the_year_1() {
        for (date, days) in [
            ("0001-01-01", 0),
            ("1900-01-01", DAYS_TO_1900),
            ("1970-01-01", 719_162),
            ("9999-12-31", 3_652_058),
        ] {
            let parsed = DateTime::parse(date).unwrap();
            assert_eq!((parsed.days(), parsed.date().as_str()), (days, date));
            assert_eq!(DateTime::from_parts(days, 0), Some(parsed));
        }
    }

    #[test]
    fn the_forms_of_sql_server_are_read() {
        for (text, expected) in [
            ("2024-02-29", "2024-02-29 00:00:00.0000000 +00:00"),
            ("20240229", "2024-02-29 00:00:00.0000000 +00:00"),
            ("2024/2/9 1:02", "2024-02-09 01:02:00.0000000 +00:00"),
            ("", "1900-01-01 00:00:00.0000000 +00:00"),
            ("13:14:15.5", "1900-01-01 13:14:15.5000000 +00:00"),
            ("13:14 +14:00", "1900-01-01 13:14:00.0000000 +14:00"),
            ("2024-02-29T23:59:59.9999999Z", "2024-02-29 23:59:59.9999999 +00:00"),
            (" 2024-02-29 23:59:59.9999999 -03:30 ", "2024-02-29 23:59:59.9999999 -03:30"),
        ] {
            assert_eq!(DateTime::parse(text).unwrap().with_offset(7), expected, "{text}");
        }
        for text in [
            "x",
            "2023-02-29",
            "0000-01-01",
            "24:00",
            "12:60",
            "12:00 +14:01",
            "12:00 +2",
            "2024-01-01 x",
        ] {
            assert_eq!(DateTime::parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_rounded_and_converted() {
        let time = DateTime::parse("2024-02-29T23:59:59.9999999 -03:30").unwrap();
        assert_eq!(time.round(3).date_time(3), "2024-03-01 00:00:00.000");
        assert_eq!(time.to_utc().unwrap().date_time(0), "2024-03-01 03:29:59");
        assert_eq!(time.to_utc().unwrap().to_offset(-210), Some(time));
        assert_eq!(
            DateTime::parse("9999-12-31 23:59:59.9999999").unwrap().round(0).date(),
            "9999-12-31"
        );
    }
}
