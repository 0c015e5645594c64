//! Runs translated statements, and sends rows as SQLite finds them.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, Statement};

use super::decode_value::TypedValue;
use super::projection::Item;
use super::response_stream::ResponseStream;
use super::sql_error::{SqlError, StatementError};
use super::sql_type::SqlType;
use super::tds_token::Column;
use super::translate::Translated;

/// The variables of a batch, by their names in lower case.
pub(super) type Variables = BTreeMap<String, TypedValue>;

/// Runs a statement. Returns the number of rows of its result, or of rows that it changed.
pub(super) fn run(
    connection: &Connection,
    translated: &Translated,
    variables: &Variables,
    response: &mut ResponseStream,
) -> Result<Option<u64>, StatementError> {
    let mut statement = prepare(connection, &translated.sql, variables)?;
    if statement.column_count() == 0 {
        let changed = statement.raw_execute().map_err(|error| SqlError::from_sqlite(&error))?;
        return Ok(translated.counts_rows.then_some(changed as u64));
    }
    let declared = declared_types(&statement);
    let items_by_column = items_by_column(&translated.items, declared.len());
    let mut rows = statement.raw_query();
    let mut values = next(&mut rows, declared.len())?;
    let columns: Vec<Column> = declared
        .into_iter()
        .enumerate()
        .map(|(index, (name, declared))| {
            let first =
                values.as_ref().and_then(|values| values.get(index)).unwrap_or(&Value::Null);
            column(
                connection,
                items_by_column.get(index).copied().flatten(),
                name,
                declared,
                first,
                variables,
            )
        })
        .collect();
    response.write_columns(&columns)?;
    let mut count = 0;
    while let Some(row) = values {
        response.write_row(&columns, &row)?;
        count += 1;
        values = next(&mut rows, columns.len())?;
    }
    Ok(Some(count))
}

/// Fetches all rows of a query.
pub(super) fn fetch_all(
    connection: &Connection,
    sql: &str,
    variables: &Variables,
) -> Result<Vec<Vec<Value>>, SqlError> {
    let mut statement = prepare(connection, sql, variables)?;
    let count = statement.column_count();
    let mut rows = statement.raw_query();
    let mut all = Vec::new();
    while let Some(row) = next(&mut rows, count)? {
        all.push(row);
    }
    Ok(all)
}

fn prepare<'a>(
    connection: &'a Connection,
    sql: &str,
    variables: &Variables,
) -> Result<Statement<'a>, SqlError> {
    let failed = |error: rusqlite::Error| SqlError::from_sqlite(&error);
    let mut statement = connection.prepare(sql).map_err(failed)?;
    for index in 1..=statement.parameter_count() {
        let name = statement.parameter_name(index).unwrap_or_default().to_ascii_lowercase();
        let Some(variable) = variables.get(&name) else {
            return Err(SqlError::new(
                137,
                format!("Must declare the scalar variable \"{name}\"."),
            ));
        };
        statement.raw_bind_parameter(index, &variable.value).map_err(failed)?;
    }
    Ok(statement)
}

fn next(rows: &mut rusqlite::Rows<'_>, count: usize) -> Result<Option<Vec<Value>>, SqlError> {
    let failed = |error: rusqlite::Error| SqlError::from_sqlite(&error);
    let values =
        |row: &Row<'_>| (0..count).map(|index| row.get(index)).collect::<Result<Vec<Value>, _>>();
    rows.next().map_err(failed)?.map(values).transpose().map_err(failed)
}

/// The names and declared types of the columns.
fn declared_types(statement: &Statement<'_>) -> Vec<(String, Option<SqlType>)> {
    let declared_type = |column: &rusqlite::Column<'_>| column.decl_type().and_then(SqlType::parse);
    statement.columns().map(|column| (column.name().to_owned(), declared_type(&column))).collect()
}

/// The item of each column. A column of a wildcard has none.
fn items_by_column(items: &[Item], columns: usize) -> Vec<Option<&Item>> {
    let wildcard = items.iter().position(|item| *item == Item::Wildcard);
    let (before, after) = match wildcard {
        Some(wildcard) => (
            items.get(..wildcard).unwrap_or_default(),
            items.get(wildcard + 1..).unwrap_or_default(),
        ),
        None => (items, Default::default()),
    };
    let mut items_by_column: Vec<Option<&Item>> = before.iter().map(Some).collect();
    items_by_column.resize(columns.saturating_sub(after.len()), None);
    items_by_column
        .extend(after.iter().map(|item| Some(item).filter(|item| **item != Item::Wildcard)));
    items_by_column
}

/// The type of the column with this name in any table, wide enough for sums.
fn column_type(connection: &Connection, name: &str) -> Option<SqlType> {
    let sql = "SELECT c.type FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c \
               WHERE c.name = ?1 COLLATE NOCASE";
    let declared: String = connection.query_row(sql, [name], |row| row.get(0)).ok()?;
    Some(match SqlType::parse(&declared)? {
        SqlType::Decimal(_, scale) => SqlType::Decimal(38, scale),
        SqlType::TinyInt | SqlType::SmallInt => SqlType::Int,
        other @ (SqlType::Int
        | SqlType::BigInt
        | SqlType::Bit
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
        | SqlType::Date
        | SqlType::Time(_)
        | SqlType::DateTime
        | SqlType::SmallDateTime
        | SqlType::DateTime2(_)
        | SqlType::DateTimeOffset(_)
        | SqlType::UniqueIdentifier
        | SqlType::Xml) => other,
    })
}

fn column(
    connection: &Connection,
    item: Option<&Item>,
    name: String,
    declared: Option<SqlType>,
    first: &Value,
    variables: &Variables,
) -> Column {
    let Some(Item::Expression { sql_type, variable, column, is_named }) = item else {
        return Column { name, sql_type: declared.unwrap_or_else(|| type_of_value(first)) };
    };
    let of_variable = || variables.get(variable.as_ref()?).map(|variable| variable.sql_type);
    let of_column = || column_type(connection, column.as_deref()?);
    let sql_type = sql_type
        .or_else(of_variable)
        .or(declared)
        .or_else(of_column)
        .unwrap_or_else(|| type_of_value(first));
    Column { name: if *is_named { name } else { String::new() }, sql_type }
}

/// The type of a column whose type is only known from its first value.
fn type_of_value(value: &Value) -> SqlType {
    match value {
        Value::Null => SqlType::Int,
        Value::Integer(number) if i32::try_from(*number).is_ok() => SqlType::Int,
        Value::Integer(_) => SqlType::BigInt,
        Value::Real(_) => SqlType::Float,
        Value::Text(text) if text.len() <= 4000 => SqlType::NVarChar(Some(4000)),
        Value::Text(_) => SqlType::NVarChar(None),
        Value::Blob(bytes) if bytes.len() <= 8000 => SqlType::VarBinary(Some(8000)),
        Value::Blob(_) => SqlType::VarBinary(None),
    }
}
