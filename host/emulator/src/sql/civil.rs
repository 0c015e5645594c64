//! Dates and times as texts, and as TDS counts them.

/// The units of time of scale 7 in a second.
pub(super) const UNITS: u64 = 10_000_000;
/// The same in a day.
pub(super) const DAY: u64 = 86_400 * UNITS;

/// The days from 0001-01-01 to 1900-01-01, from which the older types count.
pub(super) const TO_1900: i64 = 693_595;
/// The same to 1970-01-01.
const TO_1970: i64 = 719_162;

/// A date and a time of day, and for some the minutes that its clock is ahead of UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    /// Days since 0001-01-01.
    pub(super) days: i64,
    /// Units of 100 nanoseconds since midnight.
    pub(super) units: u64,
    pub(super) offset: i16,
}

impl Moment {
    pub(super) fn now() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let days = i64::try_from(now.as_secs() / 86_400).unwrap_or_default() + TO_1970;
        let units = now.as_secs() % 86_400 * UNITS + u64::from(now.subsec_nanos()) / 100;
        Self { days, units, offset: 0 }
    }

    /// Reads `2024-05-06`, `13:14:15.1234567`, both with a space or a `T` between them, and with an offset behind them.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (date, rest) = match text.split_once(['T', 't', ' ']) {
            Some((date, rest)) => (date, rest.trim()),
            None if text.contains(':') => ("", text),
            None => (text, ""),
        };
        let (date, rest) = if date.contains(':') { ("", text) } else { (date, rest) };
        let (time, offset) = match rest.find(['+', '-', 'Z', 'z']) {
            Some(at) => (rest.get(..at)?.trim(), offset(rest.get(at..)?)?),
            None => (rest, 0),
        };
        let days = if date.is_empty() { TO_1900 } else { days(date)? };
        Some(Self { days, units: if time.is_empty() { 0 } else { units(time)? }, offset })
    }

    /// Rounds to so many digits behind the second.
    pub(super) fn round(self, scale: u8) -> Self {
        let unit = 10_u64.pow(u32::from(7_u8.saturating_sub(scale)));
        self.at((self.units + unit / 2) / unit * unit)
    }

    /// This day at another time, which may be the next midnight.
    pub(super) fn at(self, units: u64) -> Self {
        Self { days: self.days + i64::from(units >= DAY), units: units % DAY, ..self }
    }

    /// The same moment by a clock that is so many minutes further ahead.
    pub(super) fn shift(self, minutes: i16) -> Self {
        let day = i64::try_from(DAY).unwrap_or(i64::MAX);
        let units = i64::try_from(self.units).unwrap_or_default() + i64::from(minutes) * 600_000_000;
        let (days, units) = (self.days + units.div_euclid(day), units.rem_euclid(day));
        Self { days, units: u64::try_from(units).unwrap_or_default(), ..self }
    }

    pub(super) fn date(self) -> String {
        let (year, month, day) = civil(self.days);
        format!("{year:04}-{month:02}-{day:02}")
    }

    pub(super) fn time(self, scale: u8) -> String {
        let seconds = self.units / UNITS;
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let fraction = format!("{:07}", self.units % UNITS);
        let point = if scale == 0 { "" } else { "." };
        let fraction = fraction.get(..usize::from(scale.min(7))).unwrap_or_default();
        format!("{hour:02}:{minute:02}:{second:02}{point}{fraction}")
    }

    pub(super) fn date_time(self, scale: u8) -> String {
        format!("{} {}", self.date(), self.time(scale))
    }

    pub(super) fn with_offset(self, scale: u8) -> String {
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.unsigned_abs();
        format!("{} {sign}{:02}:{:02}", self.date_time(scale), minutes / 60, minutes % 60)
    }
}

/// `YYYY-MM-DD` or `YYYYMMDD`.
fn days(date: &str) -> Option<i64> {
    let compact = date.len() == 8 && !date.contains(['-', '/']);
    let (year, month, day) = if compact {
        (date.get(..4)?, date.get(4..6)?, date.get(6..)?)
    } else {
        let mut parts = date.splitn(3, ['-', '/']);
        (parts.next()?, parts.next()?, parts.next()?)
    };
    let (year, month, day): (i64, i64, i64) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let days = from_civil(year, month, day);
    let exists = (1..=9999).contains(&year) && (1..=12).contains(&month) && civil(days) == (year, month, day);
    exists.then_some(days)
}

fn units(time: &str) -> Option<u64> {
    let mut parts = time.splitn(3, ':');
    let (hour, minute): (u64, u64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let seconds = parts.next().unwrap_or("0");
    let (second, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let second: u64 = second.parse().ok()?;
    let fraction: u64 = format!("{fraction:0<7}").get(..7)?.parse().ok()?;
    (hour < 24 && minute < 60 && second < 60).then_some((hour * 3600 + minute * 60 + second) * UNITS + fraction)
}

fn offset(text: &str) -> Option<i16> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let minutes = hours.parse::<i16>().ok()? * 60 + minutes.parse::<i16>().ok()?;
    (minutes <= 14 * 60).then_some(if text.starts_with('-') { -minutes } else { minutes })
}

/// Days since 0001-01-01, by Howard Hinnant's `days_from_civil`.
fn from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 306
}

fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 306;
    let era = days.div_euclid(146_097);
    let of_era = days - era * 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_as_tds_does() {
        for (date, count) in
            [("0001-01-01", 0), ("1900-01-01", TO_1900), ("1970-01-01", TO_1970), ("9999-12-31", 3_652_058)]
        {
            let moment = Moment::parse(date).unwrap();
            assert_eq!((moment.days, moment.date().as_str()), (count, date));
        }
        assert!(Moment::parse("2023-02-29").is_none());
    }

    #[test]
    fn times_are_read_and_written() {
        let moment = Moment::parse("2024-02-29T23:59:59.9999999 -03:30").unwrap();
        assert_eq!(moment.with_offset(7), "2024-02-29 23:59:59.9999999 -03:30");
        assert_eq!(moment.round(3).date_time(3), "2024-03-01 00:00:00.000");
        assert_eq!(moment.shift(210).date_time(0), "2024-03-01 03:29:59");
        assert_eq!(Moment::parse("13:14").unwrap().time(0), "13:14:00");
    }
}
