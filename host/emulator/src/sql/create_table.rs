//! Writes a CREATE TABLE for SQLite.

use sqlparser::ast::{ColumnDef, ColumnOption, CreateTable};

use super::sql_error::SqlError;
use super::sql_type::SqlType;

/// A CREATE TABLE whose names and expressions are SQLite's already.
pub(super) fn create_table(table: &CreateTable) -> Result<String, SqlError> {
    let name = table.name.to_string();
    let columns = table.columns.iter().map(column);
    let constraints = table.constraints.iter().map(|constraint| Ok(constraint.to_string()));
    let items: Vec<String> = columns.chain(constraints).collect::<Result<_, SqlError>>()?;
    if items.is_empty() {
        return Err(SqlError::syntax(&name));
    }
    Ok(format!("CREATE {}TABLE {name} ({})", temporary(&name), items.join(", ")))
}

/// `TEMP` for the quoted name of a temporary table.
pub(super) fn temporary(quoted_name: &str) -> &'static str {
    if quoted_name.starts_with("\"#") { "TEMP " } else { "" }
}

fn column(column: &ColumnDef) -> Result<String, SqlError> {
    let type_name = column.data_type.to_string();
    let sql_type = SqlType::parse(&type_name).ok_or_else(|| SqlError::unknown_type(&type_name))?;
    let name = column.name.to_string();
    if column.options.iter().any(|option| matches!(option.option, ColumnOption::Identity(_))) {
        return Ok(format!("{name} INTEGER PRIMARY KEY AUTOINCREMENT"));
    }
    let mut declaration = sql_type.declaration(&name);
    for option in &column.options {
        let text = match &option.option {
            // SQLite requires parentheses around a call.
            ColumnOption::Default(value) => format!(" DEFAULT ({value})"),
            _ => format!(" {option}"),
        };
        declaration.push_str(&text);
    }
    Ok(declaration)
}
