//! What goes to a database.

use std::borrow::Cow;

use tiberius::numeric::Numeric;
use tiberius::xml::XmlData;
use tiberius::{ColumnData, IntoSql};

use super::civil;
use super::value::{DataType, Value};
use crate::surrogate;

/// The most digits of a `decimal`.
const MOST_DIGITS: usize = 38;

/// A parameter of a statement.
pub(super) struct Parameter(ColumnData<'static>);

/// A value that is none of its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parameter @P{number} is not a valid {what}")]
pub(super) struct InvalidParameter {
    number: usize,
    what: &'static str,
}

impl Parameter {
    /// The parameter of this number, beginning with 1.
    pub(super) fn of(number: usize, value: Value) -> Result<Self, InvalidParameter> {
        let invalid = |what| InvalidParameter { number, what };
        let cell = match value {
            Value::Null(kind) => null(kind),
            Value::Bit(value) => ColumnData::Bit(Some(value)),
            Value::Tinyint(value) => ColumnData::U8(Some(value)),
            Value::Smallint(value) => ColumnData::I16(Some(value)),
            Value::Int(value) => ColumnData::I32(Some(value)),
            Value::Bigint(value) => ColumnData::I64(Some(value)),
            Value::Real(value) if value.is_finite() => ColumnData::F32(Some(value)),
            Value::Float(value) if value.is_finite() => ColumnData::F64(Some(value)),
            Value::Real(_) | Value::Float(_) => return Err(invalid("SQL Server number")),
            Value::Decimal(text) => ColumnData::Numeric(Some(numeric(&text).ok_or_else(|| invalid("decimal"))?)),
            Value::Text(text) => ColumnData::String(Some(Cow::Owned(text))),
            Value::Xml(text) => ColumnData::Xml(Some(Cow::Owned(XmlData::new(text)))),
            Value::Binary(bytes) => ColumnData::Binary(Some(Cow::Owned(bytes))),
            Value::Date(text) => ColumnData::Date(Some(civil::date_of(&text).ok_or_else(|| invalid("date"))?)),
            Value::Time(text) => ColumnData::Time(Some(civil::time_of(&text).ok_or_else(|| invalid("time"))?)),
            Value::Datetime(text) => {
                ColumnData::DateTime2(Some(civil::datetime2_of(&text).ok_or_else(|| invalid("date and time"))?))
            }
            Value::Datetimeoffset(text) => {
                let value = civil::datetimeoffset_of(&text);
                ColumnData::DateTimeOffset(Some(value.ok_or_else(|| invalid("date and time with an offset"))?))
            }
            Value::Uniqueidentifier(text) => {
                ColumnData::Guid(Some(text.parse().map_err(|_| invalid("uniqueidentifier"))?))
            }
        };
        Ok(Self(cell))
    }
}

impl IntoSql<'static> for Parameter {
    fn into_sql(self) -> ColumnData<'static> {
        self.0
    }
}

/// A NULL of a type, or of one that the server converts to it.
fn null(kind: DataType) -> ColumnData<'static> {
    match kind {
        DataType::Bit => ColumnData::Bit(None),
        DataType::Tinyint => ColumnData::U8(None),
        DataType::Smallint => ColumnData::I16(None),
        DataType::Int | DataType::SqlVariant => ColumnData::I32(None),
        DataType::Bigint => ColumnData::I64(None),
        DataType::Real => ColumnData::F32(None),
        DataType::Float => ColumnData::F64(None),
        DataType::Decimal | DataType::Money | DataType::Smallmoney => ColumnData::Numeric(None),
        DataType::Char
        | DataType::Varchar
        | DataType::Text
        | DataType::Nchar
        | DataType::Nvarchar
        | DataType::Ntext => ColumnData::String(None),
        DataType::Binary | DataType::Varbinary | DataType::Image | DataType::Udt => ColumnData::Binary(None),
        DataType::Date => ColumnData::Date(None),
        DataType::Time => ColumnData::Time(None),
        DataType::Smalldatetime | DataType::Datetime | DataType::Datetime2 => ColumnData::DateTime2(None),
        DataType::Datetimeoffset => ColumnData::DateTimeOffset(None),
        DataType::Uniqueidentifier => ColumnData::Guid(None),
        DataType::Xml => ColumnData::Xml(None),
    }
}

fn numeric(text: &str) -> Option<Numeric> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = [whole, fraction].concat();
    let significant = all.trim_start_matches('0').len().max(fraction.len());
    let written = !all.is_empty() && !digits.ends_with('.') && all.bytes().all(|byte| byte.is_ascii_digit());
    // tiberius declares a digit before the point too.
    if !written || significant > MOST_DIGITS || fraction.len() >= MOST_DIGITS {
        return None;
    }
    let value: i128 = all.parse().ok()?;
    let scale = u8::try_from(fraction.len()).ok()?;
    Some(Numeric::new_with_scale(if negative { -value } else { value }, scale))
}

/// Whether there is a surrogate in a value.
pub(super) fn has_surrogate(value: &Value) -> bool {
    match value {
        Value::Text(text) | Value::Xml(text) => surrogate::is_in(text.as_bytes()),
        Value::Binary(bytes) => surrogate::is_in(bytes),
        Value::Null(_)
        | Value::Bit(_)
        | Value::Tinyint(_)
        | Value::Smallint(_)
        | Value::Int(_)
        | Value::Bigint(_)
        | Value::Real(_)
        | Value::Float(_)
        | Value::Decimal(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Datetime(_)
        | Value::Datetimeoffset(_)
        | Value::Uniqueidentifier(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_has_the_digits_that_are_written() {
        for (text, value, scale) in [
            ("0", 0, 0),
            ("-0.50", -50, 2),
            ("+12", 12, 0),
            ("007.1", 71, 1),
            (".5", 5, 1),
            ("99999999999999999999999999999999999999", 99_999_999_999_999_999_999_999_999_999_999_999_999, 0),
        ] {
            let number = numeric(text).unwrap();
            assert_eq!((number.value(), number.scale()), (value, scale), "{text}");
        }
        for text in ["", "-", ".", "1.", "1e3", "0x1", "1,5", " 1", "--1", "999999999999999999999999999999999999999"] {
            assert!(numeric(text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_none_of_its_type_is_named() {
        let why = |value| Parameter::of(3, value).err().unwrap().to_string();
        assert_eq!(why(Value::Date("yesterday".into())), "parameter @P3 is not a valid date");
        assert_eq!(why(Value::Uniqueidentifier("x".into())), "parameter @P3 is not a valid uniqueidentifier");
        assert_eq!(why(Value::Float(f64::NAN)), "parameter @P3 is not a valid SQL Server number");
    }
}
