//! Conversion of SQL Server's values to JSON.
//!
//! | type | JSON |
//! |---|---|
//! | NULL | `null` |
//! | `bit` | `true`, `false` |
//! | `tinyint`, `smallint`, `int`, `real`, `float` | a number |
//! | `bigint`, `decimal`, `money`, `smallmoney` | a string |
//! | all character types, `xml` | a string |
//! | all binary types | a string, base64 |
//! | dates and times | a string: `2026-11-21`, `09:30:00.1234567`, `2026-11-21T09:30:00+01:00` |
//! | `uniqueidentifier` | a string |
//!
//! `bigint` and decimals are strings because most JSON parsers read numbers as 64-bit floats, which
//! hold only 53 bits of an integer and no exact decimal fractions.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyward_plugin::sql::{Column, Value};

/// Writes a value.
pub(crate) fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null(_) => out.push_str("null"),
        Value::Bit(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Tinyint(value) => integer((*value).into(), out),
        Value::Smallint(value) => integer((*value).into(), out),
        Value::Int(value) => integer((*value).into(), out),
        Value::Bigint(value) => {
            out.push('"');
            integer(*value, out);
            out.push('"');
        }
        Value::Real(value) if value.is_finite() => number(*value, out),
        Value::Float(value) if value.is_finite() => number(*value, out),
        Value::Real(_) | Value::Float(_) => out.push_str("null"),
        Value::Decimal(text)
        | Value::Text(text)
        | Value::Date(text)
        | Value::Time(text)
        | Value::Datetime(text)
        | Value::Datetimeoffset(text)
        | Value::Uniqueidentifier(text)
        | Value::Xml(text) => string(text, out),
        Value::Binary(bytes) => {
            out.push('"');
            STANDARD.encode_string(bytes, out);
            out.push('"');
        }
    }
}

/// Writes a row: an array.
pub(crate) fn row(values: &[Value], out: &mut String) {
    out.push('[');
    for (number, value) in values.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        write(value, out);
    }
    out.push(']');
}

/// Writes the columns of a result set: `[{"name":"id","type":"int"}]`.
pub(crate) fn columns(columns: &[Column], out: &mut String) {
    out.push('[');
    for (number, column) in columns.iter().enumerate() {
        out.push_str(if number > 0 { ",{\"name\":" } else { "{\"name\":" });
        string(&column.name, out);
        out.push_str(",\"type\":\"");
        out.push_str(column.data_type.name());
        out.push_str("\"}");
    }
    out.push(']');
}

// Writing to a `String` cannot fail.
fn integer(value: i64, out: &mut String) {
    let _ = write!(out, "{value}");
}

/// Writes the shortest digits that parse to the same float, with an exponent if it is far from 1.
fn number(value: impl std::fmt::Debug, out: &mut String) {
    let _ = write!(out, "{value:?}");
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = special.chars();
        match chars.next() {
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(c @ ('"' | '\\')) => out.extend(['\\', c]),
            Some(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use keyward_plugin::sql::DataType;
    use serde_json::json;

    use super::*;

    #[test]
    fn each_value_is_json_without_loss() {
        for (value, expected) in [
            (Value::Null(DataType::Int), "null"),
            (Value::Bit(true), "true"),
            (Value::Tinyint(255), "255"),
            (Value::Smallint(-7), "-7"),
            (Value::Int(i32::MIN), "-2147483648"),
            (Value::Bigint(i64::MAX), "\"9223372036854775807\""),
            (Value::Real(0.1), "0.1"),
            (Value::Float(0.1), "0.1"),
            (Value::Float(1e300), "1e300"),
            (Value::Float(-5e-324), "-5e-324"),
            (Value::Float(3.0), "3.0"),
            (Value::Float(f64::NAN), "null"),
            (Value::Decimal("-12.30".into()), "\"-12.30\""),
            (Value::Text("a\"b\\c\nd\u{1}é\u{2028}".into()), "\"a\\\"b\\\\c\\nd\\u0001é\u{2028}\""),
            (Value::Text(String::new()), "\"\""),
            (Value::Binary(vec![0, 255]), "\"AP8=\""),
            (Value::Date("2026-11-21".into()), "\"2026-11-21\""),
            (
                Value::Datetimeoffset("2026-11-21T09:30:00+01:00".into()),
                "\"2026-11-21T09:30:00+01:00\"",
            ),
            (Value::Xml("<a b=\"c\"/>".into()), "\"<a b=\\\"c\\\"/>\""),
        ] {
            let mut out = String::new();
            write(&value, &mut out);
            assert_eq!(out, expected);
            assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{out}");
        }
    }

    #[test]
    fn all_characters_survive_a_round_trip() {
        let text: String = (0..0x300).filter_map(char::from_u32).collect();
        let mut out = String::new();
        write(&Value::Text(text.clone()), &mut out);
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
    }

    #[test]
    fn columns_have_the_names_of_their_types() {
        let mut out = String::new();
        columns(
            &[Column::new("id", DataType::Int), Column::new("", DataType::SqlVariant)],
            &mut out,
        );
        let expected = json!([{"name": "id", "type": "int"}, {"name": "", "type": "sql_variant"}]);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap(), expected);
    }
}
