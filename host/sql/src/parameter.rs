//! Parameters of statements, as `tiberius` sends them.

use std::borrow::Cow;

use tiberius::xml::XmlData;
use tiberius::{ColumnData, IntoSql, Query};

use crate::datetime;
use crate::decimal;
use crate::value::{DataType, Value};

/// A parameter of a statement.
pub(crate) struct Parameter(ColumnData<'static>);

/// A parameter whose value is invalid for its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parameter @P{number} is not a valid {expected}")]
pub struct InvalidParameter {
    /// The parameter's number, beginning with 1.
    pub number: usize,
    /// What the value should have been.
    pub expected: &'static str,
}

/// A statement with its parameters.
pub(crate) fn query(
    statement: String,
    parameters: Vec<Value>,
) -> Result<Query<'static>, InvalidParameter> {
    let mut query = Query::new(statement);
    for (index, value) in parameters.into_iter().enumerate() {
        query.bind(Parameter::new(index + 1, value)?);
    }
    Ok(query)
}

impl Parameter {
    fn new(number: usize, value: Value) -> Result<Self, InvalidParameter> {
        let invalid = |expected| InvalidParameter { number, expected };
        let cell = match value {
            Value::Null(data_type) => null(data_type),
            Value::Bit(value) => ColumnData::Bit(Some(value)),
            Value::Tinyint(value) => ColumnData::U8(Some(value)),
            Value::Smallint(value) => ColumnData::I16(Some(value)),
            Value::Int(value) => ColumnData::I32(Some(value)),
            Value::Bigint(value) => ColumnData::I64(Some(value)),
            Value::Real(value) if value.is_finite() => ColumnData::F32(Some(value)),
            Value::Float(value) if value.is_finite() => ColumnData::F64(Some(value)),
            Value::Real(_) | Value::Float(_) => return Err(invalid("SQL Server number")),
            Value::Decimal(text) => {
                let number = decimal::parse(&text).ok_or_else(|| invalid("decimal"))?;
                ColumnData::Numeric(Some(number))
            }
            Value::Text(text) => ColumnData::String(Some(Cow::Owned(text))),
            Value::Xml(text) => ColumnData::Xml(Some(Cow::Owned(XmlData::new(text)))),
            Value::Binary(bytes) => ColumnData::Binary(Some(Cow::Owned(bytes))),
            Value::Date(text) => {
                let date = datetime::parse_date(&text).ok_or_else(|| invalid("date"))?;
                ColumnData::Date(Some(date))
            }
            Value::Time(text) => {
                let time = datetime::parse_time(&text).ok_or_else(|| invalid("time"))?;
                ColumnData::Time(Some(time))
            }
            Value::Datetime(text) => {
                let value = datetime::parse_datetime2(&text);
                ColumnData::DateTime2(Some(value.ok_or_else(|| invalid("date and time"))?))
            }
            Value::Datetimeoffset(text) => {
                let value = datetime::parse_datetimeoffset(&text);
                let value = value.ok_or_else(|| invalid("date and time with an offset"))?;
                ColumnData::DateTimeOffset(Some(value))
            }
            Value::Uniqueidentifier(text) => {
                let guid = text.parse().map_err(|_| invalid("uniqueidentifier"))?;
                ColumnData::Guid(Some(guid))
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
fn null(data_type: DataType) -> ColumnData<'static> {
    match data_type {
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
        DataType::Binary | DataType::Varbinary | DataType::Image | DataType::Udt => {
            ColumnData::Binary(None)
        }
        DataType::Date => ColumnData::Date(None),
        DataType::Time => ColumnData::Time(None),
        DataType::Smalldatetime | DataType::Datetime | DataType::Datetime2 => {
            ColumnData::DateTime2(None)
        }
        DataType::Datetimeoffset => ColumnData::DateTimeOffset(None),
        DataType::Uniqueidentifier => ColumnData::Guid(None),
        DataType::Xml => ColumnData::Xml(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_value_is_named_by_its_number_and_type() {
        for (value, message) in [
            (Value::Date("yesterday".into()), "parameter @P3 is not a valid date"),
            (Value::Uniqueidentifier("x".into()), "parameter @P3 is not a valid uniqueidentifier"),
            (Value::Float(f64::NAN), "parameter @P3 is not a valid SQL Server number"),
            (Value::Decimal("1e3".into()), "parameter @P3 is not a valid decimal"),
        ] {
            let parameters = vec![Value::Int(1), Value::Null(DataType::Xml), value];
            let error = query(String::new(), parameters).err().unwrap();
            assert_eq!(error.to_string(), message);
        }
    }
}
