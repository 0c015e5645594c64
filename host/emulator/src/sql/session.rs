//! A session: its transaction, its variables, and how it runs a batch.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::Value;
use sqlparser::ast::Expr;

use super::batch::{self, Statement, StatementKind};
use super::cast::{cast, date_time, text_of};
use super::decode_value::TypedValue;
use super::query::{self, Variables};
use super::response_stream::ResponseStream;
use super::sql_error::{SqlError, StatementError};
use super::tds_token::{self, Change};
use super::translate::{self, SessionInfo};

/// A session.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) info: SessionInfo,
    /// The id of the open transaction.
    pub(super) transaction: Option<u64>,
    last_transaction: u64,
    /// Prepared statements by handle: their declarations and statements.
    pub(super) prepared: BTreeMap<i32, (String, String)>,
    pub(super) databases: Vec<String>,
}

/// Whether a batch continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    EndBatch,
}

impl Session {
    pub(super) fn new(connection: Connection, info: SessionInfo, databases: Vec<String>) -> Self {
        Self {
            connection,
            info,
            transaction: None,
            last_transaction: 0,
            prepared: BTreeMap::new(),
            databases,
        }
    }

    /// Resets the session.
    pub(super) fn reset(&mut self, keep_transaction: bool) -> Result<(), SqlError> {
        let sql = |error: rusqlite::Error| SqlError::from_sqlite(&error);
        if !keep_transaction && self.transaction.take().is_some() {
            self.info.transaction_count = 0;
            self.connection.execute_batch("ROLLBACK").map_err(sql)?;
        }
        self.prepared.clear();
        let mut query = self
            .connection
            .prepare("SELECT name FROM temp.sqlite_schema WHERE type = 'table'")
            .map_err(sql)?;
        let names: Result<Vec<String>, _> =
            query.query_map([], |row| row.get(0)).map_err(sql)?.collect();
        for name in names.map_err(sql)? {
            let drop = format!("DROP TABLE temp.{}", translate::quoted_name(&name));
            self.connection.execute_batch(&drop).map_err(sql)?;
        }
        Ok(())
    }

    /// Runs a batch. Errors are part of the response.
    pub(super) fn run_batch(
        &mut self,
        text: &str,
        variables: &mut Variables,
        response: &mut ResponseStream,
    ) -> Result<(), StatementError> {
        match batch::parse(text) {
            Ok(statements) => self.run_statements(&statements, variables, response).map(drop),
            Err(error) => response.write_error(&error, 1),
        }
    }

    fn run_statements(
        &mut self,
        all: &[Statement],
        variables: &mut Variables,
        response: &mut ResponseStream,
    ) -> Result<Flow, StatementError> {
        for statement in all {
            if self.run_statement(statement, variables, response)? == Flow::EndBatch {
                return Ok(Flow::EndBatch);
            }
        }
        Ok(Flow::Continue)
    }

    fn run_statement(
        &mut self,
        statement: &Statement,
        variables: &mut Variables,
        response: &mut ResponseStream,
    ) -> Result<Flow, StatementError> {
        response.cancellation.check()?;
        let error = match self.run_kind(&statement.kind, variables, response) {
            Err(StatementError::Sql(error)) => error,
            other => return other,
        };
        // SQLite also fails when it is interrupted by a cancellation.
        response.cancellation.check()?;
        response.write_error(&error, statement.line)?;
        if self.transaction.is_some() && self.connection.is_autocommit() {
            self.end_transaction(Change::Rollback, response)?;
        }
        Ok(if error.ends_batch { Flow::EndBatch } else { Flow::Continue })
    }

    fn run_kind(
        &mut self,
        kind: &StatementKind,
        variables: &mut Variables,
        response: &mut ResponseStream,
    ) -> Result<Flow, StatementError> {
        match kind {
            StatementKind::Sql(statement) => {
                let translated = translate::statement(statement, &self.info)?;
                let rows = query::run(&self.connection, &translated, variables, response)?;
                self.info.row_count = rows.unwrap_or_default();
                response.end_statement(rows);
            }
            StatementKind::BeginTransaction => self.begin(response)?,
            StatementKind::Commit => self.commit(response)?,
            StatementKind::Rollback(savepoint) => self.rollback(savepoint.as_deref(), response)?,
            StatementKind::SaveTransaction(name) => self.save_transaction(name, response)?,
            StatementKind::If { condition, then, otherwise } => {
                if self.is_true(condition, variables)? {
                    return self.run_statement(then, variables, response);
                } else if let Some(otherwise) = otherwise {
                    return self.run_statement(otherwise, variables, response);
                }
            }
            StatementKind::While { condition, body } => {
                while self.is_true(condition, variables)? {
                    if self.run_statement(body, variables, response)? == Flow::EndBatch {
                        return Ok(Flow::EndBatch);
                    }
                }
            }
            StatementKind::Block(all) => return self.run_statements(all, variables, response),
            StatementKind::Declare(all) => {
                for declared in all {
                    let unknown = || SqlError::unknown_type(&declared.type_name);
                    let sql_type = declared.sql_type.ok_or_else(unknown)?;
                    let value = match &declared.value {
                        Some(value) => self.evaluate(value, variables)?,
                        None => Value::Null,
                    };
                    variables.insert(
                        declared.name.clone(),
                        TypedValue { sql_type, value: cast(value, sql_type)? },
                    );
                }
            }
            StatementKind::SetVariable { variable, value } => {
                let value = self.evaluate(value, variables)?;
                assign(variables, variable, value)?;
            }
            StatementKind::AssignFromQuery { variables: names, query } => {
                let query = translate::query(query, &self.info)?;
                for row in query::fetch_all(&self.connection, &query, variables)? {
                    for (name, value) in names.iter().zip(row) {
                        assign(variables, name, value)?;
                    }
                }
            }
            StatementKind::Use(name) => self.change_database(name, response)?,
            StatementKind::WaitForDelay(delay) => {
                response.cancellation.sleep(self.delay(delay, variables)?)?;
                response.end_statement(None);
            }
            StatementKind::RaiseError(arguments) => {
                return self.raise_error(arguments, variables, response);
            }
            StatementKind::Throw(arguments) => {
                return Err(self.throw(arguments, variables)?.into());
            }
            StatementKind::Print(value) => {
                let message = text_of(&self.evaluate(value, variables)?);
                let error = SqlError { class: 0, ..SqlError::new(0, message) };
                response.write(|out| tds_token::error(out, &error, "", 1))?;
                response.end_statement(None);
            }
            StatementKind::Execute(name) => {
                return Err(SqlError::new(
                    2812,
                    format!("Could not find stored procedure '{name}'."),
                )
                .into());
            }
            StatementKind::Return => return Ok(Flow::EndBatch),
            StatementKind::SetOption => {}
        }
        Ok(Flow::Continue)
    }

    /// Evaluates an expression.
    fn evaluate(&self, expression: &Expr, variables: &Variables) -> Result<Value, SqlError> {
        let sql = translate::expression(expression, &self.info)?;
        let rows = query::fetch_all(&self.connection, &format!("SELECT {sql}"), variables)?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or(Value::Null))
    }

    fn is_true(&self, condition: &Expr, variables: &Variables) -> Result<bool, SqlError> {
        Ok(!matches!(self.evaluate(condition, variables)?, Value::Null | Value::Integer(0)))
    }

    /// The delay of WAITFOR.
    fn delay(&self, delay: &Expr, variables: &Variables) -> Result<Duration, SqlError> {
        let value = self.evaluate(delay, variables)?;
        let Ok(time) = date_time(&value) else {
            let text = text_of(&value);
            let message =
                format!("Incorrect time syntax in time string '{text}' used with WAITFOR.");
            return Err(SqlError::new(148, message));
        };
        Ok(Duration::from_nanos(time.units() * 100))
    }

    fn raise_error(
        &self,
        arguments: &[Expr],
        variables: &Variables,
        response: &mut ResponseStream,
    ) -> Result<Flow, StatementError> {
        let mut values = arguments.iter().map(|argument| self.evaluate(argument, variables));
        let message = values.next().transpose()?.unwrap_or(Value::Null);
        let severity = values.next().transpose()?.unwrap_or(Value::Null);
        let state = values.next().transpose()?.unwrap_or(Value::Null);
        let mut text = text_of(&message);
        for value in values {
            let value = text_of(&value?);
            let index = text.find("%s").into_iter().chain(text.find("%d")).min();
            if let Some(index) = index {
                text.replace_range(index..index + 2, &value);
            }
        }
        let byte = |value: &Value| text_of(value).parse::<u8>().unwrap_or(1);
        let class = byte(&severity).min(25);
        let error = SqlError { class, state: byte(&state), ..SqlError::new(50000, text) };
        if class <= 10 {
            response.write(|out| tds_token::error(out, &error, "", 1))?;
            response.end_statement(None);
            return Ok(Flow::Continue);
        }
        Err(error.into())
    }

    fn throw(
        &self,
        [number, message, state]: &[Expr; 3],
        variables: &Variables,
    ) -> Result<SqlError, SqlError> {
        let Value::Integer(number) = self.evaluate(number, variables)? else {
            return Ok(SqlError::syntax("THROW"));
        };
        let message = text_of(&self.evaluate(message, variables)?);
        let state = text_of(&self.evaluate(state, variables)?).parse().unwrap_or(1);
        let number = i32::try_from(number).unwrap_or(50000);
        Ok(SqlError { state, class: 16, ends_batch: true, ..SqlError::new(number, message) })
    }

    fn change_database(
        &mut self,
        name: &str,
        response: &mut ResponseStream,
    ) -> Result<(), StatementError> {
        let Some(database) =
            self.databases.iter().find(|database| database.eq_ignore_ascii_case(name))
        else {
            let message = format!(
                "Database '{name}' does not exist. Make sure that the name is entered correctly."
            );
            return Err(SqlError::new(911, message).into());
        };
        let old = std::mem::replace(&mut self.info.database, database.clone());
        response.write(|out| tds_token::env_change(out, 1, database, &old))
    }

    pub(super) fn begin(&mut self, response: &mut ResponseStream) -> Result<(), StatementError> {
        if self.transaction.is_none() {
            self.execute("BEGIN")?;
            self.last_transaction += 1;
            let id = u64::from(self.info.session_id) << 32 | self.last_transaction;
            self.transaction = Some(id);
            response.write(|out| tds_token::transaction(out, Change::Begin, id))?;
        }
        self.info.transaction_count += 1;
        response.end_statement(None);
        Ok(())
    }

    pub(super) fn commit(&mut self, response: &mut ResponseStream) -> Result<(), StatementError> {
        match self.info.transaction_count {
            0 => {
                let message =
                    "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.";
                return Err(SqlError::new(3902, message).into());
            }
            1 => {
                self.execute("COMMIT")?;
                self.end_transaction(Change::Commit, response)?;
            }
            _ => self.info.transaction_count -= 1,
        }
        response.end_statement(None);
        Ok(())
    }

    pub(super) fn rollback(
        &mut self,
        savepoint: Option<&str>,
        response: &mut ResponseStream,
    ) -> Result<(), StatementError> {
        if self.info.transaction_count == 0 {
            let message =
                "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.";
            return Err(SqlError::new(3903, message).into());
        }
        let to_savepoint =
            savepoint.map(|name| format!("ROLLBACK TO {}", translate::quoted_name(name)));
        if to_savepoint.is_none_or(|sql| self.connection.execute_batch(&sql).is_err()) {
            // Any other name is that of the transaction.
            self.execute("ROLLBACK")?;
            self.end_transaction(Change::Rollback, response)?;
        }
        response.end_statement(None);
        Ok(())
    }

    pub(super) fn save_transaction(
        &mut self,
        name: &str,
        response: &mut ResponseStream,
    ) -> Result<(), StatementError> {
        if self.transaction.is_none() {
            return Err(SqlError::new(
                628,
                "Cannot issue SAVE TRANSACTION when there is no active transaction.",
            )
            .into());
        }
        self.execute(&format!("SAVEPOINT {}", translate::quoted_name(name)))?;
        response.end_statement(None);
        Ok(())
    }

    fn end_transaction(
        &mut self,
        change: Change,
        response: &mut ResponseStream,
    ) -> Result<(), StatementError> {
        self.info.transaction_count = 0;
        let id = self.transaction.take().unwrap_or_default();
        response.write(|out| tds_token::transaction(out, change, id))
    }

    fn execute(&self, sql: &str) -> Result<(), SqlError> {
        self.connection.execute_batch(sql).map_err(|error| SqlError::from_sqlite(&error))
    }
}

fn assign(variables: &mut Variables, name: &str, value: Value) -> Result<(), SqlError> {
    let undeclared = || SqlError::new(137, format!("Must declare the scalar variable \"{name}\"."));
    let variable = variables.get_mut(name).ok_or_else(undeclared)?;
    variable.value = cast(value, variable.sql_type)?;
    Ok(())
}
