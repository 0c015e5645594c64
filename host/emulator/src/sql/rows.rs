//! Runs a translated statement, and sends its rows one by one as SQLite finds them.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, Statement};

use super::answer::Answer;
use super::projection::Item;
use super::session::{Variables, type_of_value};
use super::sql_error::{SqlError, Stop};
use super::sql_type::SqlType;
use super::token::Column;
use super::translate::Translated;

/// Runs a statement. The number is that of its rows, or of the rows that it changed.
pub(super) fn run(
    connection: &Connection,
    translated: &Translated,
    variables: &Variables,
    answer: &mut Answer,
) -> Result<Option<u64>, Stop> {
    let mut statement = prepare(connection, &translated.sql, variables)?;
    if statement.column_count() == 0 {
        let changed = statement.raw_execute().map_err(|error| SqlError::from_sqlite(&error))?;
        return Ok(translated.counts_rows.then_some(changed as u64));
    }
    let declared = declared(&statement);
    let hints = hints(&translated.items, declared.len());
    let mut rows = statement.raw_query();
    let mut values = next(&mut rows, declared.len())?;
    let columns: Vec<Column> = declared
        .into_iter()
        .enumerate()
        .map(|(at, (name, of))| {
            let first = values.as_ref().and_then(|values| values.get(at)).unwrap_or(&Value::Null);
            column(connection, hints.get(at).copied().flatten(), name, of, first, variables)
        })
        .collect();
    answer.columns(&columns)?;
    let mut count = 0;
    while let Some(row) = values {
        answer.row(&columns, &row)?;
        count += 1;
        values = next(&mut rows, columns.len())?;
    }
    Ok(Some(count))
}

/// All rows of a query, for what the server wants to know itself.
pub(super) fn all(connection: &Connection, sql: &str, variables: &Variables) -> Result<Vec<Vec<Value>>, SqlError> {
    let mut statement = prepare(connection, sql, variables)?;
    let count = statement.column_count();
    let mut rows = statement.raw_query();
    let mut all = Vec::new();
    while let Some(row) = next(&mut rows, count)? {
        all.push(row);
    }
    Ok(all)
}

fn prepare<'a>(connection: &'a Connection, sql: &str, variables: &Variables) -> Result<Statement<'a>, SqlError> {
    let failed = |error: rusqlite::Error| SqlError::from_sqlite(&error);
    let mut statement = connection.prepare(sql).map_err(failed)?;
    for at in 1..=statement.parameter_count() {
        let name = statement.parameter_name(at).unwrap_or_default().to_ascii_lowercase();
        let Some(variable) = variables.get(&name) else {
            return Err(SqlError::new(137, format!("Must declare the scalar variable \"{name}\".")));
        };
        statement.raw_bind_parameter(at, &variable.value).map_err(failed)?;
    }
    Ok(statement)
}

fn next(rows: &mut rusqlite::Rows<'_>, count: usize) -> Result<Option<Vec<Value>>, SqlError> {
    let failed = |error: rusqlite::Error| SqlError::from_sqlite(&error);
    let values = |row: &Row<'_>| (0..count).map(|at| row.get(at)).collect::<Result<Vec<Value>, _>>();
    rows.next().map_err(failed)?.map(values).transpose().map_err(failed)
}

/// The names of the columns, and what they are declared as.
fn declared(statement: &Statement<'_>) -> Vec<(String, Option<SqlType>)> {
    let declared = |column: &rusqlite::Column<'_>| column.decl_type().and_then(SqlType::parse);
    statement.columns().map(|column| (column.name().to_owned(), declared(&column))).collect()
}

/// The items of the list behind SELECT, one for each column. What a star stands for has none.
fn hints(items: &[Item], columns: usize) -> Vec<Option<&Item>> {
    let star = items.iter().position(|item| *item == Item::Wildcard);
    let (before, after) = match star {
        Some(star) => (items.get(..star).unwrap_or_default(), items.get(star + 1..).unwrap_or_default()),
        None => (items, Default::default()),
    };
    let mut hints: Vec<Option<&Item>> = before.iter().map(Some).collect();
    hints.resize(columns.saturating_sub(after.len()), None);
    hints.extend(after.iter().map(|item| Some(item).filter(|item| **item != Item::Wildcard)));
    hints
}

/// The type of the column of this name in some table, as wide as sums of it may be.
fn column_type(connection: &Connection, name: &str) -> Option<SqlType> {
    let sql =
        "SELECT c.type FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c WHERE c.name = ?1 COLLATE NOCASE";
    let declared: String = connection.query_row(sql, [name], |row| row.get(0)).ok()?;
    Some(match SqlType::parse(&declared)? {
        SqlType::Decimal(_, scale) => SqlType::Decimal(38, scale),
        SqlType::TinyInt | SqlType::SmallInt => SqlType::Int,
        of @ (SqlType::Int
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
        | SqlType::Xml) => of,
    })
}

fn column(
    connection: &Connection,
    hint: Option<&Item>,
    name: String,
    declared: Option<SqlType>,
    first: &Value,
    variables: &Variables,
) -> Column {
    let Some(Item::Expression { sql_type, variable, column, is_named }) = hint else {
        return Column { name, of: declared.unwrap_or_else(|| type_of_value(first)) };
    };
    let of_variable = || variables.get(variable.as_ref()?).map(|variable| variable.of);
    let of_column = || column_type(connection, column.as_deref()?);
    let of = sql_type.or_else(of_variable).or(declared).or_else(of_column).unwrap_or_else(|| type_of_value(first));
    Column { name: if *is_named { name } else { String::new() }, of }
}
