//! Decodes the parameters of a call, each with its type ([MS-TDS] 2.2.5.4 to 2.2.5.6).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/

use rusqlite::types::Value;

use super::cast::date_time_text;
use super::codepage;
use super::datetime::{DAYS_TO_1900, DateTime, UNITS_PER_SECOND};
use super::decimal::Decimal;
use super::field_reader::{FieldReader, utf16};
use super::sql_type::{SqlType, time_length};

/// The flag of a UTF-8 collation.
const UTF8: u8 = 0x04;

/// A value and its type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TypedValue {
    pub(super) sql_type: SqlType,
    pub(super) value: Value,
}

/// The length prefix of a value.
#[derive(Clone, Copy)]
enum LengthPrefix {
    /// None: the type has this length.
    Fixed(usize),
    /// A length in one byte; 0 is null.
    U8,
    /// A length in two bytes; 0xffff is null.
    U16,
    /// A length of eight bytes and chunks (PLP).
    Chunked,
    /// A length in four bytes; all ones is null.
    U32,
}

/// Reads a type and a value of it.
pub(super) fn read_typed_value(reader: &mut FieldReader<'_>) -> Option<TypedValue> {
    let kind = reader.u8()?;
    let mut is_utf8 = false;
    let (sql_type, prefix) = match kind {
        0x1f => (SqlType::Int, LengthPrefix::Fixed(0)),
        0x30 => (SqlType::TinyInt, LengthPrefix::Fixed(1)),
        0x32 => (SqlType::Bit, LengthPrefix::Fixed(1)),
        0x34 => (SqlType::SmallInt, LengthPrefix::Fixed(2)),
        0x38 => (SqlType::Int, LengthPrefix::Fixed(4)),
        0x7f => (SqlType::BigInt, LengthPrefix::Fixed(8)),
        0x3a => (SqlType::SmallDateTime, LengthPrefix::Fixed(4)),
        0x3d => (SqlType::DateTime, LengthPrefix::Fixed(8)),
        0x3b => (SqlType::Real, LengthPrefix::Fixed(4)),
        0x3e => (SqlType::Float, LengthPrefix::Fixed(8)),
        0x3c => (SqlType::Money, LengthPrefix::Fixed(8)),
        0x7a => (SqlType::SmallMoney, LengthPrefix::Fixed(4)),
        0x24 => (reader.u8().map(|_| SqlType::UniqueIdentifier)?, LengthPrefix::U8),
        0x26 => (
            by_length(
                reader,
                &[SqlType::TinyInt, SqlType::SmallInt, SqlType::Int, SqlType::BigInt],
            )?,
            LengthPrefix::U8,
        ),
        0x68 => (reader.u8().map(|_| SqlType::Bit)?, LengthPrefix::U8),
        0x6d => (
            by_length(reader, &[SqlType::Real, SqlType::Real, SqlType::Real, SqlType::Float])?,
            LengthPrefix::U8,
        ),
        0x6e => (
            by_length(
                reader,
                &[SqlType::SmallMoney, SqlType::SmallMoney, SqlType::SmallMoney, SqlType::Money],
            )?,
            LengthPrefix::U8,
        ),
        0x6f => {
            let small = SqlType::SmallDateTime;
            (by_length(reader, &[small, small, small, SqlType::DateTime])?, LengthPrefix::U8)
        }
        0x37 | 0x3f | 0x6a | 0x6c => {
            let (_, precision, scale) = (reader.u8()?, reader.u8()?, reader.u8()?);
            (SqlType::Decimal(precision.clamp(1, 38), scale.min(38)), LengthPrefix::U8)
        }
        0x28 => (SqlType::Date, LengthPrefix::U8),
        0x29 => (SqlType::Time(scale(reader)?), LengthPrefix::U8),
        0x2a => (SqlType::DateTime2(scale(reader)?), LengthPrefix::U8),
        0x2b => (SqlType::DateTimeOffset(scale(reader)?), LengthPrefix::U8),
        0xad | 0xa5 => {
            let length = reader.u16()?;
            let max = length == u16::MAX;
            (
                SqlType::VarBinary((!max).then_some(length.max(1))),
                if max { LengthPrefix::Chunked } else { LengthPrefix::U16 },
            )
        }
        0xaf | 0xa7 | 0xef | 0xe7 => {
            let length = reader.u16()?;
            is_utf8 = collation(reader)?;
            let (max, wide) = (length == u16::MAX, matches!(kind, 0xef | 0xe7));
            let length = (!max).then_some(if wide { length / 2 } else { length }.max(1));
            let sql_type = if wide { SqlType::NVarChar(length) } else { SqlType::VarChar(length) };
            (sql_type, if max { LengthPrefix::Chunked } else { LengthPrefix::U16 })
        }
        0xf1 => {
            if reader.u8()? != 0 {
                reader.b_varchar()?;
                reader.b_varchar()?;
                let length = reader.u16()?;
                reader.utf16(usize::from(length))?;
            }
            (SqlType::Xml, LengthPrefix::Chunked)
        }
        0x23 | 0x63 => {
            reader.u32()?;
            is_utf8 = collation(reader)?;
            (
                if kind == 0x63 { SqlType::NVarChar(None) } else { SqlType::VarChar(None) },
                LengthPrefix::U32,
            )
        }
        0x22 => (reader.u32().map(|_| SqlType::VarBinary(None))?, LengthPrefix::U32),
        _ => return None,
    };
    let value = match (kind, bytes(reader, prefix)?) {
        (0x1f, _) | (_, None) => Value::Null,
        (_, Some(bytes)) => value(sql_type, &bytes, is_utf8)?,
    };
    Some(TypedValue { sql_type, value })
}

/// Reads a length of 1, 2, 4 or 8 bytes, and returns the type with that length.
fn by_length(reader: &mut FieldReader<'_>, types: &[SqlType; 4]) -> Option<SqlType> {
    let [one, two, four, eight] = *types;
    Some(match reader.u8()? {
        1 => one,
        2 => two,
        4 => four,
        8 => eight,
        _ => return None,
    })
}

fn scale(reader: &mut FieldReader<'_>) -> Option<u8> {
    reader.u8().filter(|scale| *scale <= 7)
}

fn collation(reader: &mut FieldReader<'_>) -> Option<bool> {
    reader.take(5)?.get(3).map(|flags| flags & UTF8 != 0)
}

#[allow(clippy::option_option, reason = "a null, or an invalid value")]
fn bytes(reader: &mut FieldReader<'_>, prefix: LengthPrefix) -> Option<Option<Vec<u8>>> {
    let length = match prefix {
        LengthPrefix::Fixed(length) => length,
        LengthPrefix::U8 => match reader.u8()? {
            0 => return Some(None),
            length => usize::from(length),
        },
        LengthPrefix::U16 => match reader.u16()? {
            u16::MAX => return Some(None),
            length => usize::from(length),
        },
        LengthPrefix::U32 => match reader.u32()? {
            u32::MAX => return Some(None),
            length => usize::try_from(length).ok()?,
        },
        LengthPrefix::Chunked => {
            if reader.u64()? == u64::MAX {
                return Some(None);
            }
            let mut all = Vec::new();
            loop {
                let chunk = reader.l_varbyte()?;
                if chunk.is_empty() {
                    return Some(Some(all));
                }
                all.extend_from_slice(chunk);
            }
        }
    };
    reader.take(length).map(|bytes| Some(bytes.to_vec()))
}

fn value(sql_type: SqlType, bytes: &[u8], is_utf8: bool) -> Option<Value> {
    let mut reader = FieldReader::new(bytes);
    Some(match sql_type {
        SqlType::TinyInt | SqlType::Bit => Value::Integer(i64::from(reader.u8()?)),
        SqlType::SmallInt => Value::Integer(i64::from(reader.u16()?.cast_signed())),
        SqlType::Int => Value::Integer(i64::from(reader.u32()?.cast_signed())),
        SqlType::BigInt => Value::Integer(reader.u64()?.cast_signed()),
        SqlType::Real => Value::Real(f64::from(f32::from_bits(reader.u32()?))),
        SqlType::Float => Value::Real(f64::from_bits(reader.u64()?)),
        SqlType::Decimal(_, scale) => {
            let negative = reader.u8()? == 0;
            let digits = reader
                .rest()
                .iter()
                .rev()
                .fold(0_u128, |digits, byte| (digits << 8) | u128::from(*byte));
            Decimal { negative, digits, scale }.to_value()
        }
        SqlType::Money => {
            let (high, low) = (u64::from(reader.u32()?), u64::from(reader.u32()?));
            money((high << 32 | low).cast_signed())
        }
        SqlType::SmallMoney => money(i64::from(reader.u32()?.cast_signed())),
        SqlType::NChar(_) | SqlType::NVarChar(_) | SqlType::Xml => Value::Text(utf16(bytes)),
        SqlType::Char(_) | SqlType::VarChar(_) if is_utf8 => {
            Value::Text(String::from_utf8_lossy(bytes).into_owned())
        }
        SqlType::Char(_) | SqlType::VarChar(_) => Value::Text(codepage::decode(bytes)),
        SqlType::Binary(_) | SqlType::VarBinary(_) => Value::Blob(bytes.to_vec()),
        SqlType::UniqueIdentifier => {
            let (a, b, c) = (reader.u32()?, reader.u16()?, reader.u16()?);
            let [d, e, rest @ ..]: [u8; 8] = reader.rest().try_into().ok()?;
            let rest: String = rest.iter().map(|byte| format!("{byte:02X}")).collect();
            Value::Text(format!("{a:08X}-{b:04X}-{c:04X}-{d:02X}{e:02X}-{rest}"))
        }
        SqlType::Date => stored(sql_type, days(&mut reader)?, 0)?,
        SqlType::Time(scale) => stored(sql_type, DAYS_TO_1900, time(&mut reader, scale)?)?,
        SqlType::DateTime2(scale) => {
            let units = time(&mut reader, scale)?;
            stored(sql_type, days(&mut reader)?, units)?
        }
        SqlType::DateTimeOffset(scale) => {
            let units = time(&mut reader, scale)?;
            let utc = DateTime::from_parts(days(&mut reader)?, units)?;
            let local = utc.to_offset(reader.u16()?.cast_signed())?;
            Value::Text(date_time_text(local, sql_type))
        }
        SqlType::DateTime => {
            let (days, ticks) = (i64::from(reader.u32()?.cast_signed()), u64::from(reader.u32()?));
            stored(sql_type, days + DAYS_TO_1900, (ticks * 100_000 + 1) / 3)?
        }
        SqlType::SmallDateTime => {
            let (days, minutes) = (i64::from(reader.u16()?), u64::from(reader.u16()?));
            stored(sql_type, days + DAYS_TO_1900, minutes * 60 * UNITS_PER_SECOND)?
        }
    })
}

fn stored(sql_type: SqlType, days: i64, units: u64) -> Option<Value> {
    DateTime::from_parts(days, units).map(|time| Value::Text(date_time_text(time, sql_type)))
}

fn money(units: i64) -> Value {
    Decimal { negative: units < 0, digits: u128::from(units.unsigned_abs()), scale: 4 }.to_value()
}

fn days(reader: &mut FieldReader<'_>) -> Option<i64> {
    let (low, high) = (reader.u16()?, reader.u8()?);
    Some(i64::from(high) << 16 | i64::from(low))
}

fn time(reader: &mut FieldReader<'_>, scale: u8) -> Option<u64> {
    let bytes = reader.take(time_length(scale))?;
    let units = bytes.iter().rev().fold(0_u64, |units, byte| (units << 8) | u64::from(*byte));
    units.checked_mul(10_u64.checked_pow(u32::from(7_u8.checked_sub(scale)?))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_types_round_trip() {
        for (declared, stored) in [
            ("tinyint", Value::Integer(255)),
            ("smallint", Value::Integer(-32768)),
            ("int", Value::Integer(-1)),
            ("bigint", Value::Integer(i64::MIN)),
            ("bit", Value::Integer(1)),
            ("decimal(38, 10)", Value::Text("-1234567890123456789012345678.0123456789".to_owned())),
            ("money", Value::Text("-922337203685477.5808".to_owned())),
            ("smallmoney", Value::Real(214_748.364_7)),
            ("real", Value::Real(0.5)),
            ("float", Value::Real(1e300)),
            ("varchar(10)", Value::Text("für 5 €".to_owned())),
            ("nvarchar(10)", Value::Text("漢字 🎉".to_owned())),
            ("nvarchar(max)", Value::Text("ä".repeat(100_000))),
            ("varbinary(max)", Value::Blob(vec![7; 100_000])),
            ("date", Value::Text("9999-12-31".to_owned())),
            ("time(4)", Value::Text("23:59:59.9999".to_owned())),
            ("datetime", Value::Text("1753-01-01 00:00:00.003".to_owned())),
            ("smalldatetime", Value::Text("2079-06-06 23:59:00".to_owned())),
            ("datetime2(7)", Value::Text("0001-01-01 00:00:00.0000001".to_owned())),
            ("datetimeoffset(3)", Value::Text("2024-03-01 00:30:00.123 +05:45".to_owned())),
            ("uniqueidentifier", Value::Text("01234567-89AB-CDEF-0123-456789ABCDEF".to_owned())),
            ("xml", Value::Text("<a>1</a>".to_owned())),
            ("xml", Value::Null),
            ("int", Value::Null),
        ] {
            let sql_type = SqlType::parse(declared).unwrap();
            let mut bytes = sql_type.info();
            crate::sql::encode_value::write_value(&mut bytes, sql_type, &stored).unwrap();
            let mut reader = FieldReader::new(&bytes);
            assert_eq!(
                read_typed_value(&mut reader),
                Some(TypedValue { sql_type, value: stored }),
                "{declared}"
            );
            assert!(reader.is_empty());
        }
    }
}
