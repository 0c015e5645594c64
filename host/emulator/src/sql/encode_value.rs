//! Encodes the values of rows ([MS-TDS] 2.2.5.5).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/

use rusqlite::types::Value;

use super::cast::{cast, date_time, exact, float, text_of, ticks};
use super::codepage;
use super::datetime::{DAYS_TO_1900, DateTime, UNITS_PER_SECOND};
use super::sql_error::SqlError;
use super::sql_type::{SqlType, decimal_length, time_length};

/// The size of the chunks of a long value.
const CHUNK: usize = 32 << 10;

/// Writes a value of a type, with its length.
pub(super) fn write_value(
    out: &mut Vec<u8>,
    sql_type: SqlType,
    value: &Value,
) -> Result<(), SqlError> {
    if *value == Value::Null {
        null(out, sql_type);
        return Ok(());
    }
    match sql_type {
        SqlType::TinyInt => u8_prefixed(out, whole(value, sql_type)?.to_le_bytes().get(..1)),
        SqlType::SmallInt => u8_prefixed(out, whole(value, sql_type)?.to_le_bytes().get(..2)),
        SqlType::Int => u8_prefixed(out, whole(value, sql_type)?.to_le_bytes().get(..4)),
        SqlType::BigInt => u8_prefixed(out, Some(&whole(value, sql_type)?.to_le_bytes())),
        SqlType::Bit => u8_prefixed(out, whole(value, sql_type)?.to_le_bytes().get(..1)),
        SqlType::Decimal(precision, scale) => {
            let decimal = exact(value, sql_type, precision, scale)?;
            out.push(decimal_length(precision) + 1);
            out.push(u8::from(!decimal.negative));
            out.extend(
                decimal.digits.to_le_bytes().iter().take(usize::from(decimal_length(precision))),
            );
        }
        SqlType::Money => {
            let units = exact(value, sql_type, 19, 4)?
                .to_i64()
                .ok_or_else(|| SqlError::overflow("money"))?;
            let [a, b, c, d, e, f, g, h] = units.to_le_bytes();
            u8_prefixed(out, Some(&[e, f, g, h, a, b, c, d]));
        }
        SqlType::SmallMoney => {
            let units =
                exact(value, sql_type, 10, 4)?.to_i64().and_then(|units| i32::try_from(units).ok());
            u8_prefixed(
                out,
                Some(&units.ok_or_else(|| SqlError::overflow("smallmoney"))?.to_le_bytes()),
            );
        }
        SqlType::Float => u8_prefixed(out, Some(&number(value, sql_type)?.to_le_bytes())),
        #[allow(clippy::cast_possible_truncation, reason = "`real` has single precision")]
        SqlType::Real => u8_prefixed(out, Some(&(number(value, sql_type)? as f32).to_le_bytes())),
        SqlType::NVarChar(None) | SqlType::Xml => chunked(out, &utf16(&text_of(value))),
        SqlType::VarChar(None) => chunked(out, &codepage::encode(&text_of(value))),
        SqlType::NChar(length) => {
            u16_prefixed(out, &utf16(&padded(value, length)), length.saturating_mul(2), sql_type)?;
        }
        SqlType::NVarChar(Some(length)) => {
            u16_prefixed(out, &utf16(&text_of(value)), length.saturating_mul(2), sql_type)?;
        }
        SqlType::Char(length) => {
            u16_prefixed(out, &codepage::encode(&padded(value, length)), length, sql_type)?;
        }
        SqlType::VarChar(Some(length)) => {
            u16_prefixed(out, &codepage::encode(&text_of(value)), length, sql_type)?;
        }
        SqlType::Binary(_) | SqlType::VarBinary(_) => {
            let Value::Blob(bytes) = cast(value.clone(), sql_type)? else {
                return Err(SqlError::overflow(sql_type.name()));
            };
            if let SqlType::Binary(length) | SqlType::VarBinary(Some(length)) = sql_type {
                u16_prefixed(out, &bytes, length, sql_type)?;
            } else {
                chunked(out, &bytes);
            }
        }
        SqlType::UniqueIdentifier => u8_prefixed(out, Some(&guid(value)?)),
        SqlType::Date => u8_prefixed(out, date_time(value)?.days().to_le_bytes().get(..3)),
        SqlType::Time(scale) => {
            let rounded = date_time(value)?.round(scale);
            out.push(u8::try_from(time_length(scale)).unwrap_or_default());
            time(out, rounded, scale);
        }
        SqlType::DateTime2(scale) => {
            let rounded = date_time(value)?.round(scale);
            out.push(u8::try_from(time_length(scale) + 3).unwrap_or_default());
            time(out, rounded, scale);
            out.extend(rounded.days().to_le_bytes().iter().take(3));
        }
        SqlType::DateTimeOffset(scale) => {
            let local = date_time(value)?.round(scale);
            let utc = local.to_utc().ok_or_else(|| SqlError::overflow(sql_type.name()))?;
            out.push(u8::try_from(time_length(scale) + 5).unwrap_or_default());
            time(out, utc, scale);
            out.extend(utc.days().to_le_bytes().iter().take(3));
            out.extend_from_slice(&local.offset_minutes().to_le_bytes());
        }
        SqlType::DateTime => {
            let time = date_time(value)?;
            let days = i32::try_from(time.days() - DAYS_TO_1900).unwrap_or_default();
            out.push(8);
            out.extend_from_slice(&days.to_le_bytes());
            out.extend(ticks(time).to_le_bytes().iter().take(4));
        }
        SqlType::SmallDateTime => {
            let time = date_time(value)?;
            let days = u16::try_from(time.days() - DAYS_TO_1900)
                .map_err(|_| SqlError::overflow("smalldatetime"))?;
            out.push(4);
            out.extend_from_slice(&days.to_le_bytes());
            out.extend((time.units() / (60 * UNITS_PER_SECOND)).to_le_bytes().iter().take(2));
        }
    }
    Ok(())
}

fn null(out: &mut Vec<u8>, sql_type: SqlType) {
    match sql_type {
        SqlType::NVarChar(None)
        | SqlType::VarChar(None)
        | SqlType::VarBinary(None)
        | SqlType::Xml => {
            out.extend_from_slice(&u64::MAX.to_le_bytes());
        }
        SqlType::Char(_)
        | SqlType::VarChar(_)
        | SqlType::NChar(_)
        | SqlType::NVarChar(_)
        | SqlType::Binary(_)
        | SqlType::VarBinary(_) => out.extend_from_slice(&u16::MAX.to_le_bytes()),
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
        | SqlType::Date
        | SqlType::Time(_)
        | SqlType::DateTime
        | SqlType::SmallDateTime
        | SqlType::DateTime2(_)
        | SqlType::DateTimeOffset(_)
        | SqlType::UniqueIdentifier => out.push(0),
    }
}

fn whole(value: &Value, sql_type: SqlType) -> Result<i64, SqlError> {
    match value {
        Value::Integer(_) | Value::Text(_) | Value::Real(_) => match cast(value.clone(), sql_type)?
        {
            Value::Integer(number) => Ok(number),
            _ => Err(SqlError::overflow(sql_type.name())),
        },
        _ => Err(SqlError::overflow(sql_type.name())),
    }
}

fn number(value: &Value, sql_type: SqlType) -> Result<f64, SqlError> {
    float(value).ok_or_else(|| SqlError::conversion(&text_of(value), sql_type.name()))
}

fn padded(value: &Value, length: u16) -> String {
    format!("{:width$}", text_of(value), width = usize::from(length))
}

pub(super) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn guid(value: &Value) -> Result<[u8; 16], SqlError> {
    let text = text_of(&cast(value.clone(), SqlType::UniqueIdentifier)?);
    let number = u128::from_str_radix(&text.replace('-', ""), 16).unwrap_or_default();
    let [a, b, c, d, e, f, g, h, rest @ ..] = number.to_be_bytes();
    let [i, j, k, l, m, n, o, p] = rest;
    // The first three fields are little-endian.
    Ok([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p])
}

fn time(out: &mut Vec<u8>, time: DateTime, scale: u8) {
    let unit = 10_u64.pow(u32::from(7_u8.saturating_sub(scale)));
    out.extend((time.units() / unit).to_le_bytes().iter().take(time_length(scale)));
}

/// A value with a length of one byte.
fn u8_prefixed(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let bytes = bytes.unwrap_or_default();
    out.push(u8::try_from(bytes.len()).unwrap_or_default());
    out.extend_from_slice(bytes);
}

/// A value with a length of two bytes.
fn u16_prefixed(
    out: &mut Vec<u8>,
    bytes: &[u8],
    limit: u16,
    sql_type: SqlType,
) -> Result<(), SqlError> {
    let length =
        u16::try_from(bytes.len()).ok().filter(|length| *length <= limit && *length != u16::MAX);
    let length = length.ok_or_else(|| {
        SqlError::new(
            8152,
            format!(
                "String or binary data would be truncated in a column of type {}.",
                sql_type.name()
            ),
        )
    })?;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// A value in chunks (PLP).
fn chunked(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    for chunk in bytes.chunks(CHUNK) {
        out.extend_from_slice(&u32::try_from(chunk.len()).unwrap_or_default().to_le_bytes());
        out.extend_from_slice(chunk);
    }
    out.extend_from_slice(&[0; 4]);
}
