//! Conversion of JSON parameters to SQL Server's values.
//!
//! | JSON | type |
//! |---|---|
//! | `null` | NULL, of `nvarchar` |
//! | `true`, `false` | `bit` |
//! | a whole number | the first of `int`, `bigint` and `decimal` that fits |
//! | a number with a decimal point | `decimal`, with all its digits |
//! | a number with an exponent | `float` |
//! | a string | `nvarchar` |
//! | `{"type": "datetime2", "value": "2026-11-21T09:30:00"}` | that type |
//!
//! The value of a binary type is base64. Any typed value may be `null`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyward_plugin::Problem;
use keyward_plugin::sql::{DataType, Value};
use serde_json::value::RawValue;

use crate::literal;

/// Maximum number of digits of a `decimal`.
const MAX_DIGITS: usize = 38;

/// The value of a parameter. `pointer` is its location in the request (RFC 6901).
pub(crate) fn value(raw: &RawValue, pointer: &str) -> Result<Value, Problem> {
    plain(raw).unwrap_or_else(|| typed(raw)).map_err(|why| invalid(pointer, &why))
}

/// The problem of an invalid member of the request.
pub(crate) fn invalid(pointer: &str, why: &str) -> Problem {
    Problem::bad_request(format!("{pointer}: {why}")).with("pointer", pointer)
}

/// A value without an explicit type; `None` for an object.
fn plain(raw: &RawValue) -> Option<Result<Value, String>> {
    let text = raw.get();
    Some(match text.bytes().next() {
        Some(b'{') => return None,
        Some(b'[') => {
            let detail = "a parameter is one value. Send a list as a JSON string, and read it in \
                          the statement with `select value from openjson(@name)`";
            Err(detail.to_owned())
        }
        Some(b'n') => Ok(Value::Null(DataType::Nvarchar)),
        Some(b't') => Ok(Value::Bit(true)),
        Some(b'f') => Ok(Value::Bit(false)),
        Some(b'"') => string(raw).map(Value::Text),
        _ => number(text),
    })
}

fn string(raw: &RawValue) -> Result<String, String> {
    serde_json::from_str(raw.get()).map_err(|_| "expected a string".to_owned())
}

fn number(text: &str) -> Result<Value, String> {
    if text.contains(['e', 'E']) {
        return float(text);
    }
    if text.contains('.') {
        return decimal(text);
    }
    if let Ok(value) = text.parse() {
        return Ok(Value::Int(value));
    }
    text.parse().map(Value::Bigint).or_else(|_| decimal(text))
}

fn float(text: &str) -> Result<Value, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Value::Float(value)),
        _ => Err(format!("{text} is out of range for a float, whose maximum is 1.79e308")),
    }
}

fn decimal(text: &str) -> Result<Value, String> {
    if literal::is_decimal(text, MAX_DIGITS) {
        return Ok(Value::Decimal(text.to_owned()));
    }
    Err(format!(
        "a decimal has at most {MAX_DIGITS} digits and an optional decimal point; for more, send \
         {{\"type\": \"float\", \"value\": ...}}"
    ))
}

/// `{"type": ..., "value": ...}`.
fn typed(raw: &RawValue) -> Result<Value, String> {
    let expected = "expected {\"type\": \"datetime2\", \"value\": \"2026-11-21T09:30:00\"}, with \
                    the name of one of SQL Server's types";
    let mut members: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(raw.get()).map_err(|_| expected.to_owned())?;
    let (Some(type_name), Some(value)) = (members.remove("type"), members.remove("value")) else {
        return Err(expected.to_owned());
    };
    if let Some(name) = members.keys().next() {
        return Err(format!("unknown member {name:?}: {expected}"));
    }
    let name = string(&type_name)?;
    let data_type = DataType::from_name(&name)
        .filter(|data_type| !matches!(data_type, DataType::Udt | DataType::SqlVariant))
        .ok_or_else(|| format!("{name:?} is not a valid type for a parameter"))?;
    if value.get() == "null" {
        return Ok(Value::Null(data_type));
    }
    of_type(data_type, &value).ok_or_else(|| {
        let found = beginning(value.get());
        format!("{found} is not a valid {data_type}: expected {}", example(data_type))
    })
}

/// Parses a value of a type. Numbers may also be in a string.
fn of_type(data_type: DataType, raw: &RawValue) -> Option<Value> {
    let text = if raw.get().starts_with('"') { string(raw).ok()? } else { raw.get().to_owned() };
    let is_text = raw.get().starts_with('"');
    let is_scalar = !raw.get().starts_with(['{', '[']);
    let shaped =
        |fits: bool, value: fn(String) -> Value| (is_text && fits).then(|| value(text.clone()));
    match data_type {
        DataType::Bit => match text.as_str() {
            "true" | "1" => Some(Value::Bit(true)),
            "false" | "0" => Some(Value::Bit(false)),
            _ => None,
        },
        DataType::Tinyint => text.parse().ok().map(Value::Tinyint),
        DataType::Smallint => text.parse().ok().map(Value::Smallint),
        DataType::Int => text.parse().ok().map(Value::Int),
        DataType::Bigint => text.parse().ok().map(Value::Bigint),
        DataType::Real => {
            text.parse().ok().filter(|value: &f32| value.is_finite()).map(Value::Real)
        }
        DataType::Float => {
            text.parse().ok().filter(|value: &f64| value.is_finite()).map(Value::Float)
        }
        DataType::Decimal | DataType::Money | DataType::Smallmoney => {
            decimal(&text).ok().filter(|_| is_scalar)
        }
        DataType::Char
        | DataType::Varchar
        | DataType::Text
        | DataType::Nchar
        | DataType::Nvarchar
        | DataType::Ntext => shaped(true, Value::Text),
        DataType::Binary | DataType::Varbinary | DataType::Image => {
            STANDARD.decode(&text).ok().filter(|_| is_text).map(Value::Binary)
        }
        DataType::Date => shaped(literal::is_date(&text), Value::Date),
        DataType::Time => shaped(literal::is_time(&text), Value::Time),
        DataType::Smalldatetime | DataType::Datetime | DataType::Datetime2 => {
            shaped(literal::is_datetime(&text), Value::Datetime)
        }
        DataType::Datetimeoffset => {
            literal::datetimeoffset(&text).filter(|_| is_text).map(Value::Datetimeoffset)
        }
        DataType::Uniqueidentifier => {
            shaped(literal::is_uniqueidentifier(&text), Value::Uniqueidentifier)
        }
        DataType::Xml => shaped(true, Value::Xml),
        DataType::Udt | DataType::SqlVariant => None,
    }
}

/// What a value of a type looks like.
fn example(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Bit => "true or false",
        DataType::Tinyint => "a whole number from 0 to 255",
        DataType::Smallint => "a whole number from -32768 to 32767",
        DataType::Int => "a whole number of 32 bits",
        DataType::Bigint => "a whole number of 64 bits, which may be in a string",
        DataType::Real | DataType::Float => "a number",
        DataType::Decimal | DataType::Money | DataType::Smallmoney => {
            "a number without an exponent, which may be in a string: \"-12.30\""
        }
        DataType::Binary | DataType::Varbinary | DataType::Image => "a base64 string",
        DataType::Date => "\"2026-11-21\"",
        DataType::Time => "\"09:30:00\" with at most 7 fractional digits",
        DataType::Smalldatetime | DataType::Datetime | DataType::Datetime2 => {
            "\"2026-11-21T09:30:00\" with at most 7 fractional digits"
        }
        DataType::Datetimeoffset => {
            "\"2026-11-21T09:30:00+01:00\" with at most 7 fractional digits"
        }
        DataType::Uniqueidentifier => "\"00112233-4455-6677-8899-AABBCCDDEEFF\"",
        _ => "a string",
    }
}

fn beginning(text: &str) -> String {
    let mut cut: String = text.chars().take(40).collect();
    if cut.len() < text.len() {
        cut.push_str("...");
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Value, String> {
        let raw = RawValue::from_string(json.to_owned()).unwrap();
        value(&raw, "/params/a").map_err(|problem| problem.detail().to_owned())
    }

    fn typed(data_type: &str, json: &str) -> Result<Value, String> {
        read(&format!(r#"{{"type":"{data_type}","value":{json}}}"#))
    }

    #[test]
    fn a_plain_value_has_the_narrowest_type_that_loses_nothing() {
        for (json, expected) in [
            ("null", Value::Null(DataType::Nvarchar)),
            ("true", Value::Bit(true)),
            ("7", Value::Int(7)),
            ("-0", Value::Int(0)),
            ("-2147483648", Value::Int(i32::MIN)),
            ("2147483648", Value::Bigint(2_147_483_648)),
            ("9223372036854775808", Value::Decimal("9223372036854775808".into())),
            ("0.1", Value::Decimal("0.1".into())),
            (
                "-1234567890123456789012345678901234567.8",
                Value::Decimal("-1234567890123456789012345678901234567.8".into()),
            ),
            ("1e3", Value::Float(1000.0)),
            (r#""it's \u00fc""#, Value::Text("it's ü".into())),
        ] {
            assert_eq!(read(json), Ok(expected), "{json}");
        }
    }

    #[test]
    fn a_named_type_accepts_its_values() {
        for (data_type, json, expected) in [
            ("bit", "1", Value::Bit(true)),
            ("TinyInt", "255", Value::Tinyint(255)),
            ("smallint", "\"-1\"", Value::Smallint(-1)),
            ("bigint", "\"9223372036854775807\"", Value::Bigint(i64::MAX)),
            ("numeric", "1.50", Value::Decimal("1.50".into())),
            ("money", "\"-12.3400\"", Value::Decimal("-12.3400".into())),
            ("real", "1.5", Value::Real(1.5)),
            ("float", "3", Value::Float(3.0)),
            ("varchar", "\"a\"", Value::Text("a".into())),
            ("varbinary", "\"AP8=\"", Value::Binary(vec![0, 255])),
            ("varbinary", "null", Value::Null(DataType::Varbinary)),
            ("date", "\"2026-11-21\"", Value::Date("2026-11-21".into())),
            ("time", "\"09:30:00.1234567\"", Value::Time("09:30:00.1234567".into())),
            ("datetime2", "\"2026-11-21T09:30:00\"", Value::Datetime("2026-11-21T09:30:00".into())),
            (
                "datetimeoffset",
                "\"2026-11-21T09:30:00.123Z\"",
                Value::Datetimeoffset("2026-11-21T09:30:00.123+00:00".into()),
            ),
            (
                "uniqueidentifier",
                "\"00112233-4455-6677-8899-aabbccddeeff\"",
                Value::Uniqueidentifier("00112233-4455-6677-8899-aabbccddeeff".into()),
            ),
            ("xml", "\"<a/>\"", Value::Xml("<a/>".into())),
        ] {
            assert_eq!(typed(data_type, json), Ok(expected), "{data_type} {json}");
        }
    }

    #[test]
    fn an_invalid_value_is_reported_with_its_pointer() {
        for (data_type, json) in [
            ("bit", "2"),
            ("tinyint", "256"),
            ("tinyint", "-1"),
            ("int", "1.0"),
            ("decimal", "1e3"),
            ("decimal", "\"\""),
            ("decimal", "123456789012345678901234567890123456789"),
            ("float", "\"nan\""),
            ("float", "1e999"),
            ("varchar", "1"),
            ("varbinary", "\"%\""),
            ("date", "\"21.11.2026\""),
            ("datetime", "\"2026-11-21 09:30:00Z\""),
            ("datetimeoffset", "\"2026-11-21T09:30:00\""),
            ("uniqueidentifier", "\"x\""),
            ("xml", "{}"),
            ("geography", "\"x\""),
            ("sql_variant", "1"),
        ] {
            let error = typed(data_type, json).unwrap_err();
            assert!(error.starts_with("/params/a: "), "{data_type} {json}: {error}");
        }
        for json in ["[1]", "{}", r#"{"type":"int"}"#, r#"{"type":"int","value":1,"x":2}"#, "1e999"]
        {
            assert!(read(json).is_err(), "{json}");
        }
        assert!(read("[1]").unwrap_err().contains("openjson"));
    }
}
