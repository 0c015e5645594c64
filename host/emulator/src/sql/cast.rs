//! Converts values as CAST does, to the form in which they are stored.
//!
//! Dates and times, GUIDs and XML are stored as text in canonical form. Decimals and money are
//! stored as numbers if SQLite keeps all digits, and otherwise as text.

use rusqlite::types::Value;

use super::datetime::{DateTime, UNITS_PER_SECOND};
use super::decimal::Decimal;
use super::sql_error::SqlError;
use super::sql_type::SqlType;

/// A value as text.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Blob(bytes) => super::codepage::decode(bytes),
    }
}

/// Converts a value to a type.
pub(super) fn cast(value: Value, to: SqlType) -> Result<Value, SqlError> {
    if value == Value::Null {
        return Ok(Value::Null);
    }
    let text = |value: &Value| text_of(value);
    let failed = |value: &Value| SqlError::conversion(&text_of(value), to.name());
    Ok(match to {
        SqlType::TinyInt => integer(&value, to, 0, 255)?,
        SqlType::SmallInt => integer(&value, to, i64::from(i16::MIN), i64::from(i16::MAX))?,
        SqlType::Int => integer(&value, to, i64::from(i32::MIN), i64::from(i32::MAX))?,
        SqlType::BigInt => integer(&value, to, i64::MIN, i64::MAX)?,
        SqlType::Bit => Value::Integer(i64::from(match &value {
            Value::Text(text) if text.eq_ignore_ascii_case("true") => true,
            Value::Text(text) if text.eq_ignore_ascii_case("false") => false,
            _ => Decimal::of(&value, 15).ok_or_else(|| failed(&value))?.digits != 0,
        })),
        SqlType::Decimal(precision, scale) => decimal(&value, to, precision, scale)?,
        SqlType::Money => decimal(&value, to, 19, 4)?,
        SqlType::SmallMoney => decimal(&value, to, 10, 4)?,
        SqlType::Float => Value::Real(float(&value).ok_or_else(|| failed(&value))?),
        #[allow(clippy::cast_possible_truncation, reason = "`real` has single precision")]
        SqlType::Real => {
            Value::Real(f64::from(float(&value).ok_or_else(|| failed(&value))? as f32))
        }
        SqlType::Char(length) | SqlType::NChar(length) => {
            let cut: String = text(&value).chars().take(usize::from(length)).collect();
            Value::Text(format!("{cut:width$}", width = usize::from(length)))
        }
        SqlType::VarChar(Some(length)) | SqlType::NVarChar(Some(length)) => {
            Value::Text(text(&value).chars().take(usize::from(length)).collect())
        }
        SqlType::VarChar(None) | SqlType::NVarChar(None) | SqlType::Xml => {
            Value::Text(text(&value))
        }
        SqlType::Binary(length) => {
            let mut bytes = binary(value);
            bytes.resize(usize::from(length), 0);
            Value::Blob(bytes)
        }
        SqlType::VarBinary(length) => {
            let mut bytes = binary(value);
            bytes.truncate(length.map_or(usize::MAX, usize::from));
            Value::Blob(bytes)
        }
        SqlType::UniqueIdentifier => {
            let guid = text(&value).trim_matches(['{', '}']).to_ascii_uppercase();
            let digits = guid.bytes().filter(u8::is_ascii_hexdigit).count();
            let dashes =
                [8, 13, 18, 23].iter().all(|index| guid.as_bytes().get(*index) == Some(&b'-'));
            if guid.len() != 36 || digits != 32 || !dashes {
                return Err(SqlError::new(
                    8169,
                    "Conversion failed when converting from a character string to \
                     uniqueidentifier.",
                ));
            }
            Value::Text(guid)
        }
        SqlType::Date
        | SqlType::Time(_)
        | SqlType::DateTime
        | SqlType::SmallDateTime
        | SqlType::DateTime2(_)
        | SqlType::DateTimeOffset(_) => Value::Text(date_time_text(date_time(&value)?, to)),
    })
}

/// Parses the date and time in a value.
pub(super) fn date_time(value: &Value) -> Result<DateTime, SqlError> {
    let time = match value {
        Value::Text(text) => DateTime::parse(text),
        _ => None,
    };
    let message = "Conversion failed when converting date and/or time from character string.";
    time.ok_or_else(|| SqlError::new(241, message))
}

/// The stored form of a date and time.
pub(super) fn date_time_text(time: DateTime, sql_type: SqlType) -> String {
    match sql_type {
        SqlType::Date => time.date(),
        SqlType::Time(scale) => time.round(scale).time(scale),
        SqlType::DateTime => thirds(time).date_time(3),
        SqlType::SmallDateTime => {
            let minute = 60 * UNITS_PER_SECOND;
            time.with_units((time.units() + minute / 2) / minute * minute).date_time(0)
        }
        SqlType::DateTime2(scale) => time.round(scale).date_time(scale),
        SqlType::DateTimeOffset(scale) => time.round(scale).with_offset(scale),
        SqlType::TinyInt
        | SqlType::SmallInt
        | SqlType::Int
        | SqlType::BigInt
        | SqlType::Bit
        | SqlType::Decimal(..)
        | SqlType::Money
        | SqlType::SmallMoney
        | SqlType::Real
        | SqlType::Float
        | SqlType::Char(_)
        | SqlType::VarChar(_)
        | SqlType::NChar(_)
        | SqlType::NVarChar(_)
        | SqlType::Binary(_)
        | SqlType::VarBinary(_)
        | SqlType::UniqueIdentifier
        | SqlType::Xml => time.date_time(7),
    }
}

/// Rounds to 1/300 second, the resolution of `datetime`.
fn thirds(time: DateTime) -> DateTime {
    let ticks = ticks(time);
    // They have three digits: .000, .003, .007.
    time.with_units((ticks * 10 + 1) / 3 * 10_000)
}

/// The number of 1/300 seconds since midnight.
pub(super) fn ticks(time: DateTime) -> u64 {
    (time.units() * 3 + 50_000) / 100_000
}

fn integer(value: &Value, to: SqlType, min: i64, max: i64) -> Result<Value, SqlError> {
    let number = match value {
        Value::Integer(number) => Some(*number),
        #[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
        Value::Real(number) if number.abs() < 9.2e18 => Some(number.trunc() as i64),
        Value::Text(text) if text.trim().is_empty() => Some(0),
        Value::Text(text) => match text.trim().parse() {
            Ok(number) => Some(number),
            // A decimal that is stored as text.
            Err(_) if text.len() > 15 && Decimal::parse(text).is_some() => Decimal::parse(text)
                .and_then(|decimal| decimal.to_string().split('.').next()?.parse().ok()),
            Err(_) => return Err(SqlError::conversion(text, to.name())),
        },
        _ => None,
    };
    let number = number.filter(|number| (min..=max).contains(number));
    number.map(Value::Integer).ok_or_else(|| SqlError::overflow(to.name()))
}

fn decimal(value: &Value, to: SqlType, precision: u8, scale: u8) -> Result<Value, SqlError> {
    Ok(exact(value, to, precision, scale)?.to_value())
}

/// The decimal in a value, with exactly this scale.
pub(super) fn exact(
    value: &Value,
    to: SqlType,
    precision: u8,
    scale: u8,
) -> Result<Decimal, SqlError> {
    let decimal = Decimal::of(value, scale.max(15)).ok_or_else(|| {
        SqlError::new(8114, format!("Error converting data type nvarchar to {}.", to.name()))
    })?;
    let decimal = match value {
        // A number is the shortest decimal that parses to it.
        Value::Real(number) => Decimal::parse(&number.to_string()).unwrap_or(decimal),
        _ => decimal,
    };
    decimal
        .rescale(scale)
        .filter(|decimal| decimal.fits(precision))
        .ok_or_else(|| SqlError::overflow(to.name()))
}

/// A value as a floating-point number.
pub(super) fn float(value: &Value) -> Option<f64> {
    match value {
        #[allow(clippy::cast_precision_loss, reason = "`float` has double precision")]
        Value::Integer(number) => Some(*number as f64),
        Value::Real(number) => Some(*number),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn binary(value: Value) -> Vec<u8> {
    match value {
        Value::Blob(bytes) => bytes,
        Value::Integer(number) => number.to_be_bytes().to_vec(),
        value => super::codepage::encode(&text_of(&value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cast_rounds_or_fails() {
        let text = |text: &str| Value::Text(text.to_owned());
        let date_time = cast(text("2024-05-06 01:02:03.005"), SqlType::DateTime).unwrap();
        assert_eq!(date_time, text("2024-05-06 01:02:03.007"));
        assert_eq!(cast(Value::Real(2.675), SqlType::Decimal(5, 2)).unwrap(), Value::Real(2.68));
        assert_eq!(cast(text("x"), SqlType::Int).unwrap_err().number, 245);
        assert_eq!(cast(Value::Integer(300), SqlType::TinyInt).unwrap_err().number, 8115);
        assert_eq!(cast(text("no date"), SqlType::Date).unwrap_err().number, 241);
    }
}
