//! Functions of Transact-SQL that SQLite does not have or has with another meaning.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value;

use super::cast::{cast, date_time, date_time_text, float, text_of};
use super::datetime::DateTime;
use super::sql_error::SqlError;
use super::sql_type::SqlType;

type Body = fn(&Context<'_>) -> Result<Value, SqlError>;

/// Name, number of arguments and body.
const FUNCTIONS: [(&str, i32, Body); 16] = [
    ("tds_cast", 2, |context| {
        let declared = text_of(&argument(context, 1)?);
        let sql_type = SqlType::parse(&declared).ok_or_else(|| {
            SqlError::new(243, format!("Type {declared} is not a defined system type."))
        })?;
        cast(argument(context, 0)?, sql_type)
    }),
    ("tds_divisor", 1, |context| {
        let value = argument(context, 0)?;
        match float(&value) {
            Some(0.0) => Err(SqlError::new(8134, "Divide by zero error encountered.")),
            _ => Ok(value),
        }
    }),
    ("tds_getdate", 0, |_| Ok(Value::Text(date_time_text(DateTime::now(), SqlType::DateTime)))),
    ("tds_getutcdate", 0, |_| Ok(Value::Text(date_time_text(DateTime::now(), SqlType::DateTime)))),
    ("tds_sysdatetime", 0, |_| Ok(Value::Text(DateTime::now().date_time(7)))),
    ("tds_sysutcdatetime", 0, |_| Ok(Value::Text(DateTime::now().date_time(7)))),
    ("tds_sysdatetimeoffset", 0, |_| Ok(Value::Text(DateTime::now().with_offset(7)))),
    ("tds_newid", 0, |_| new_id()),
    ("tds_len", 1, |context| {
        Ok(match argument(context, 0)? {
            Value::Null => Value::Null,
            Value::Blob(bytes) => count(bytes.len()),
            value => count(text_of(&value).trim_end_matches(' ').encode_utf16().count()),
        })
    }),
    ("tds_datalength", 1, |context| {
        Ok(match argument(context, 0)? {
            Value::Null => Value::Null,
            Value::Blob(bytes) => count(bytes.len()),
            Value::Text(text) => count(text.encode_utf16().count() * 2),
            _ => Value::Integer(8),
        })
    }),
    ("tds_charindex", 2, |context| {
        let (sought, text) = (text_of(&argument(context, 0)?), text_of(&argument(context, 1)?));
        let (sought, text) = (sought.to_lowercase(), text.to_lowercase());
        let before = text.split_once(&sought).map(|(before, _)| before.chars().count() + 1);
        Ok(count(before.unwrap_or_default()))
    }),
    ("tds_left", 2, |context| {
        let (text, length) = (text_of(&argument(context, 0)?), length(context, 1)?);
        Ok(Value::Text(text.chars().take(length).collect()))
    }),
    ("tds_right", 2, |context| {
        let (text, length) = (text_of(&argument(context, 0)?), length(context, 1)?);
        let skipped = text.chars().count().saturating_sub(length);
        Ok(Value::Text(text.chars().skip(skipped).collect()))
    }),
    ("tds_replicate", 2, |context| {
        Ok(Value::Text(text_of(&argument(context, 0)?).repeat(length(context, 1)?)))
    }),
    ("tds_year", 1, |context| date_part(context, 0, 4)),
    ("tds_month", 1, |context| date_part(context, 5, 7)),
];

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    for (name, arguments, body) in FUNCTIONS {
        connection.create_scalar_function(
            name,
            arguments,
            FunctionFlags::SQLITE_UTF8,
            move |context| {
                body(context).map_err(|error| rusqlite::Error::UserFunctionError(Box::new(error)))
            },
        )?;
    }
    connection.create_scalar_function("tds_day", 1, FunctionFlags::SQLITE_UTF8, |context| {
        date_part(context, 8, 10)
            .map_err(|error| rusqlite::Error::UserFunctionError(Box::new(error)))
    })
}

fn argument(context: &Context<'_>, index: usize) -> Result<Value, SqlError> {
    context.get(index).map_err(|error| SqlError::from_sqlite(&error))
}

/// Limit of the characters of a result.
const MAX_LENGTH: usize = 64 << 20;

fn length(context: &Context<'_>, index: usize) -> Result<usize, SqlError> {
    match argument(context, index)? {
        Value::Integer(length) => Ok(usize::try_from(length).unwrap_or_default().min(MAX_LENGTH)),
        _ => Ok(0),
    }
}

fn count(number: usize) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn date_part(context: &Context<'_>, from: usize, to: usize) -> Result<Value, SqlError> {
    let value = argument(context, 0)?;
    if value == Value::Null {
        return Ok(value);
    }
    let date = date_time(&value)?.date();
    Ok(date.get(from..to).and_then(|part| part.parse().ok()).map_or(Value::Null, Value::Integer))
}

fn new_id() -> Result<Value, SqlError> {
    use ring::rand::SecureRandom;
    let mut bytes = [0; 16];
    let random = ring::rand::SystemRandom::new();
    random
        .fill(&mut bytes)
        .map_err(|_| SqlError::new(50001, "The random number generator failed."))?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    Ok(Value::Text(format!(
        "{}-{}-4{}-A{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )))
}
