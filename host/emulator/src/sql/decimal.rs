//! Exact decimals of up to 38 digits.

use rusqlite::types::Value;

/// The digits that a number of SQLite keeps. A decimal with more is stored as text.
const DOUBLE_DIGITS: u32 = 15;

/// A decimal: its digits, and how many of them follow the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) negative: bool,
    pub(super) digits: u128,
    pub(super) scale: u8,
}

impl Decimal {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if let Some((mantissa, exponent)) = rest.split_once(['e', 'E']) {
            let number: f64 = format!("{mantissa}e{exponent}").parse().ok()?;
            let plain = Self::parse(&format!("{number:.15}"))?;
            return Some(Self { negative, ..plain });
        }
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut digits: u128 = 0;
        for digit in whole.chars().chain(fraction.chars()) {
            digits = digits.checked_mul(10)?.checked_add(u128::from(digit.to_digit(10)?))?;
        }
        Some(Self { negative, digits, scale: u8::try_from(fraction.len()).ok()? })
    }

    /// The decimal in a value, with at most so many digits after the point.
    pub(super) fn of(value: &Value, scale: u8) -> Option<Self> {
        match value {
            Value::Integer(whole) => Some(Self {
                negative: *whole < 0,
                digits: u128::from(whole.unsigned_abs()),
                scale: 0,
            }),
            Value::Real(number) if number.is_finite() => {
                Self::parse(&format!("{number:.*}", usize::from(scale)))
            }
            Value::Text(text) => Self::parse(text),
            _ => None,
        }
    }

    /// Changes the number of digits after the point, and rounds as SQL Server.
    pub(super) fn rescale(self, scale: u8) -> Option<Self> {
        let digits = if scale >= self.scale {
            self.digits.checked_mul(10_u128.checked_pow(u32::from(scale - self.scale))?)?
        } else {
            let unit = 10_u128.checked_pow(u32::from(self.scale - scale))?;
            (self.digits + unit / 2) / unit
        };
        Some(Self { digits, scale, ..self })
    }

    /// Whether it has at most so many digits.
    pub(super) fn fits(self, precision: u8) -> bool {
        10_u128.checked_pow(u32::from(precision)).is_none_or(|limit| self.digits < limit)
    }

    /// The digits as an integer.
    pub(super) fn to_i64(self) -> Option<i64> {
        let digits = i128::try_from(self.digits).ok()?;
        i64::try_from(if self.negative { -digits } else { digits }).ok()
    }

    /// The stored form: a number if that loses nothing, otherwise text.
    pub(super) fn to_value(self) -> Value {
        if self.scale == 0 {
            return self.to_i64().map_or_else(|| Value::Text(self.to_string()), Value::Integer);
        }
        match self.to_string().parse() {
            Ok(number) if self.digits < 10_u128.pow(DOUBLE_DIGITS) => Value::Real(number),
            _ => Value::Text(self.to_string()),
        }
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scale = usize::from(self.scale);
        let digits = format!("{:0>width$}", self.digits, width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.negative && self.digits != 0 { "-" } else { "" };
        let point = if scale == 0 { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_digits_are_kept() {
        let long = "-12345678901234567890123456789012345.678";
        let decimal = Decimal::parse(long).unwrap();
        assert_eq!(decimal.to_string(), long);
        assert_eq!(decimal.to_value(), Value::Text(long.to_owned()));
        assert_eq!(Decimal::parse("0.05").unwrap().to_value(), Value::Real(0.05));
        assert_eq!(Decimal::of(&Value::Real(19.99), 4).unwrap().to_string(), "19.9900");
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
        assert_eq!(Decimal::parse("-2.345").unwrap().rescale(2).unwrap().to_string(), "-2.35");
        assert!(!Decimal::parse("100").unwrap().fits(2));
    }
}
