//! A session: its transaction, its variables, and how it runs a batch.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::Value;
use sqlparser::ast::Expr;

use super::answer::Answer;
use super::batch::{self, Statement, StatementKind};
use super::cast::{cast, date_time, text_of};
use super::decode::Typed;
use super::rows;
use super::sql_error::{SqlError, Stop};
use super::sql_type::SqlType;
use super::token::{self, Change};
use super::translate::{self, SessionInfo};

/// The variables of a batch, by their names in small letters.
pub(super) type Variables = BTreeMap<String, Typed>;

/// A session.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) known: SessionInfo,
    /// The number of the transaction that is open.
    pub(super) transaction: Option<u64>,
    transactions_so_far: u64,
    /// Prepared statements: what they declare, and what they do.
    pub(super) prepared: BTreeMap<i32, (String, String)>,
    pub(super) databases: Vec<String>,
}

/// Whether a batch goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    End,
}

impl Session {
    pub(super) fn new(connection: Connection, known: SessionInfo, databases: Vec<String>) -> Self {
        Self { connection, known, transaction: None, transactions_so_far: 0, prepared: BTreeMap::new(), databases }
    }

    /// Makes it as new.
    pub(super) fn reset(&mut self, keep_transaction: bool) -> Result<(), SqlError> {
        let sql = |error: rusqlite::Error| SqlError::from_sqlite(&error);
        if !keep_transaction && self.transaction.take().is_some() {
            self.known.transaction_count = 0;
            self.connection.execute_batch("ROLLBACK").map_err(sql)?;
        }
        self.prepared.clear();
        let mut query =
            self.connection.prepare("SELECT name FROM temp.sqlite_schema WHERE type = 'table'").map_err(sql)?;
        let names: Result<Vec<String>, _> = query.query_map([], |row| row.get(0)).map_err(sql)?.collect();
        for name in names.map_err(sql)? {
            let drop = format!("DROP TABLE temp.{}", translate::quoted_name(&name));
            self.connection.execute_batch(&drop).map_err(sql)?;
        }
        Ok(())
    }

    /// Runs a batch. What fails is told in the answer.
    pub(super) fn batch(&mut self, text: &str, variables: &mut Variables, answer: &mut Answer) -> Result<(), Stop> {
        match batch::parse(text) {
            Ok(statements) => self.statements(&statements, variables, answer).map(drop),
            Err(failure) => answer.failed(&failure, 1),
        }
    }

    fn statements(&mut self, all: &[Statement], variables: &mut Variables, answer: &mut Answer) -> Result<Flow, Stop> {
        for statement in all {
            if self.statement(statement, variables, answer)? == Flow::End {
                return Ok(Flow::End);
            }
        }
        Ok(Flow::On)
    }

    fn statement(
        &mut self,
        statement: &Statement,
        variables: &mut Variables,
        answer: &mut Answer,
    ) -> Result<Flow, Stop> {
        answer.cancel.check()?;
        let failure = match self.run(&statement.kind, variables, answer) {
            Err(Stop::Failed(failure)) => failure,
            other => return other,
        };
        // What SQLite was interrupted in has failed because nobody wants it any more.
        answer.cancel.check()?;
        answer.failed(&failure, statement.line)?;
        if self.transaction.is_some() && self.connection.is_autocommit() {
            self.end_transaction(Change::Rollback, answer)?;
        }
        Ok(if failure.ends_batch { Flow::End } else { Flow::On })
    }

    fn run(&mut self, kind: &StatementKind, variables: &mut Variables, answer: &mut Answer) -> Result<Flow, Stop> {
        match kind {
            StatementKind::Sql(statement) => {
                let translated = translate::statement(statement, &self.known)?;
                let rows = rows::run(&self.connection, &translated, variables, answer)?;
                self.known.row_count = rows.unwrap_or_default();
                answer.done(rows);
            }
            StatementKind::BeginTransaction => self.begin(answer)?,
            StatementKind::Commit => self.commit(answer)?,
            StatementKind::Rollback(savepoint) => self.rollback(savepoint.as_deref(), answer)?,
            StatementKind::SaveTransaction(name) => self.savepoint(name, answer)?,
            StatementKind::If { condition, then, otherwise } => {
                if self.holds(condition, variables)? {
                    return self.statement(then, variables, answer);
                } else if let Some(otherwise) = otherwise {
                    return self.statement(otherwise, variables, answer);
                }
            }
            StatementKind::While { condition, body } => {
                while self.holds(condition, variables)? {
                    if self.statement(body, variables, answer)? == Flow::End {
                        return Ok(Flow::End);
                    }
                }
            }
            StatementKind::Block(all) => return self.statements(all, variables, answer),
            StatementKind::Declare(all) => {
                for declared in all {
                    let unknown = || SqlError::unknown_type(&declared.type_name);
                    let of = declared.sql_type.ok_or_else(unknown)?;
                    let value = match &declared.value {
                        Some(value) => self.value(value, variables)?,
                        None => Value::Null,
                    };
                    variables.insert(declared.name.clone(), Typed { of, value: cast(value, of)? });
                }
            }
            StatementKind::SetVariable { variable, value } => {
                let value = self.value(value, variables)?;
                assign(variables, variable, value)?;
            }
            StatementKind::AssignFromQuery { variables: names, query } => {
                let query = translate::query(query, &self.known)?;
                for row in rows::all(&self.connection, &query, variables)? {
                    for (name, value) in names.iter().zip(row) {
                        assign(variables, name, value)?;
                    }
                }
            }
            StatementKind::Use(name) => self.change_database(name, answer)?,
            StatementKind::WaitForDelay(delay) => {
                answer.cancel.wait(self.delay(delay, variables)?)?;
                answer.done(None);
            }
            StatementKind::RaiseError(arguments) => return self.raise(arguments, variables, answer),
            StatementKind::Throw(arguments) => return Err(self.thrown(arguments, variables)?.into()),
            StatementKind::Print(value) => {
                let message = text_of(&self.value(value, variables)?);
                let failure = SqlError { class: 0, ..SqlError::new(0, message) };
                answer.add(|out| token::failure(out, &failure, "", 1))?;
                answer.done(None);
            }
            StatementKind::Execute(name) => {
                return Err(SqlError::new(2812, format!("Could not find stored procedure '{name}'.")).into());
            }
            StatementKind::Return => return Ok(Flow::End),
            StatementKind::SetOption => {}
        }
        Ok(Flow::On)
    }

    /// The value of an expression.
    fn value(&self, expression: &Expr, variables: &Variables) -> Result<Value, SqlError> {
        let sql = translate::expression(expression, &self.known)?;
        let rows = rows::all(&self.connection, &format!("SELECT {sql}"), variables)?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or(Value::Null))
    }

    fn holds(&self, condition: &Expr, variables: &Variables) -> Result<bool, SqlError> {
        Ok(!matches!(self.value(condition, variables)?, Value::Null | Value::Integer(0)))
    }

    /// How long WAITFOR waits.
    fn delay(&self, delay: &Expr, variables: &Variables) -> Result<Duration, SqlError> {
        let value = self.value(delay, variables)?;
        let Ok(time) = date_time(&value) else {
            let text = text_of(&value);
            let message = format!("Incorrect time syntax in time string '{text}' used with WAITFOR.");
            return Err(SqlError::new(148, message));
        };
        Ok(Duration::from_nanos(time.units() * 100))
    }

    fn raise(&self, arguments: &[Expr], variables: &Variables, answer: &mut Answer) -> Result<Flow, Stop> {
        let mut values = arguments.iter().map(|argument| self.value(argument, variables));
        let message = values.next().transpose()?.unwrap_or(Value::Null);
        let severity = values.next().transpose()?.unwrap_or(Value::Null);
        let state = values.next().transpose()?.unwrap_or(Value::Null);
        let mut text = text_of(&message);
        for value in values {
            let value = text_of(&value?);
            let place = text.find("%s").into_iter().chain(text.find("%d")).min();
            if let Some(place) = place {
                text.replace_range(place..place + 2, &value);
            }
        }
        let byte = |value: &Value| text_of(value).parse::<u8>().unwrap_or(1);
        let class = byte(&severity).min(25);
        let failure = SqlError { class, state: byte(&state), ..SqlError::new(50000, text) };
        if class <= 10 {
            answer.add(|out| token::failure(out, &failure, "", 1))?;
            answer.done(None);
            return Ok(Flow::On);
        }
        Err(failure.into())
    }

    fn thrown(&self, [number, message, state]: &[Expr; 3], variables: &Variables) -> Result<SqlError, SqlError> {
        let Value::Integer(number) = self.value(number, variables)? else {
            return Ok(SqlError::syntax("THROW"));
        };
        let message = text_of(&self.value(message, variables)?);
        let state = text_of(&self.value(state, variables)?).parse().unwrap_or(1);
        let number = i32::try_from(number).unwrap_or(50000);
        Ok(SqlError { state, class: 16, ends_batch: true, ..SqlError::new(number, message) })
    }

    fn change_database(&mut self, name: &str, answer: &mut Answer) -> Result<(), Stop> {
        let Some(found) = self.databases.iter().find(|own| own.eq_ignore_ascii_case(name)) else {
            let message = format!("Database '{name}' does not exist. Make sure that the name is entered correctly.");
            return Err(SqlError::new(911, message).into());
        };
        let old = std::mem::replace(&mut self.known.database, found.clone());
        answer.add(|out| token::changed(out, 1, found, &old))
    }

    // Transactions.

    pub(super) fn begin(&mut self, answer: &mut Answer) -> Result<(), Stop> {
        if self.transaction.is_none() {
            self.sqlite("BEGIN")?;
            self.transactions_so_far += 1;
            let number = u64::from(self.known.session_id) << 32 | self.transactions_so_far;
            self.transaction = Some(number);
            answer.add(|out| token::transaction(out, Change::Begin, number))?;
        }
        self.known.transaction_count += 1;
        answer.done(None);
        Ok(())
    }

    pub(super) fn commit(&mut self, answer: &mut Answer) -> Result<(), Stop> {
        match self.known.transaction_count {
            0 => {
                let message = "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.";
                return Err(SqlError::new(3902, message).into());
            }
            1 => {
                self.sqlite("COMMIT")?;
                self.end_transaction(Change::Commit, answer)?;
            }
            _ => self.known.transaction_count -= 1,
        }
        answer.done(None);
        Ok(())
    }

    pub(super) fn rollback(&mut self, savepoint: Option<&str>, answer: &mut Answer) -> Result<(), Stop> {
        if self.known.transaction_count == 0 {
            let message = "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.";
            return Err(SqlError::new(3903, message).into());
        }
        let to_savepoint = savepoint.map(|name| format!("ROLLBACK TO {}", translate::quoted_name(name)));
        if to_savepoint.is_none_or(|sql| self.connection.execute_batch(&sql).is_err()) {
            // A name that no savepoint has is that of the transaction.
            self.sqlite("ROLLBACK")?;
            self.end_transaction(Change::Rollback, answer)?;
        }
        answer.done(None);
        Ok(())
    }

    pub(super) fn savepoint(&mut self, name: &str, answer: &mut Answer) -> Result<(), Stop> {
        if self.transaction.is_none() {
            return Err(SqlError::new(628, "Cannot issue SAVE TRANSACTION when there is no active transaction.").into());
        }
        self.sqlite(&format!("SAVEPOINT {}", translate::quoted_name(name)))?;
        answer.done(None);
        Ok(())
    }

    fn end_transaction(&mut self, change: Change, answer: &mut Answer) -> Result<(), Stop> {
        self.known.transaction_count = 0;
        let number = self.transaction.take().unwrap_or_default();
        answer.add(|out| token::transaction(out, change, number))
    }

    fn sqlite(&self, sql: &str) -> Result<(), SqlError> {
        self.connection.execute_batch(sql).map_err(|error| SqlError::from_sqlite(&error))
    }
}

fn assign(variables: &mut Variables, name: &str, value: Value) -> Result<(), SqlError> {
    let undeclared = || SqlError::new(137, format!("Must declare the scalar variable \"{name}\"."));
    let variable = variables.get_mut(name).ok_or_else(undeclared)?;
    variable.value = cast(value, variable.of)?;
    Ok(())
}

/// The type of a value that nothing else tells the type of.
pub(super) fn type_of_value(value: &Value) -> SqlType {
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
