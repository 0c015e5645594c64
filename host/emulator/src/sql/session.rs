//! A session: its transaction, its variables, and how it runs a batch.

use std::collections::BTreeMap;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::answer::Answer;
use super::cast::{cast, text_of};
use super::decode::Typed;
use super::failure::{Failure, Stop};
use super::lexer::{Token, tokens};
use super::rows;
use super::statement::{Does, Statement, parse};
use super::token::{self, Change};
use super::translate::{Surroundings, statement};
use super::types::SqlType;

/// The variables of a batch, by their names in small letters.
pub(super) type Variables = BTreeMap<String, Typed>;

/// A session.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) known: Surroundings,
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
    pub(super) fn new(connection: Connection, known: Surroundings, databases: Vec<String>) -> Self {
        Self { connection, known, transaction: None, transactions_so_far: 0, prepared: BTreeMap::new(), databases }
    }

    /// Makes it as new.
    pub(super) fn reset(&mut self, keep_transaction: bool) -> Result<(), Failure> {
        let sql = |error: rusqlite::Error| Failure::from_sqlite(&error);
        if !keep_transaction && self.transaction.take().is_some() {
            self.known.transactions = 0;
            self.connection.execute_batch("ROLLBACK").map_err(sql)?;
        }
        self.prepared.clear();
        let mut query =
            self.connection.prepare("SELECT name FROM temp.sqlite_schema WHERE type = 'table'").map_err(sql)?;
        let names: Result<Vec<String>, _> = query.query_map([], |row| row.get(0)).map_err(sql)?.collect();
        for name in names.map_err(sql)? {
            let drop = format!("DROP TABLE temp.{}", super::translate::name(&name));
            self.connection.execute_batch(&drop).map_err(sql)?;
        }
        Ok(())
    }

    /// Runs a batch. What fails is told in the answer.
    pub(super) fn batch(&mut self, text: &str, variables: &mut Variables, answer: &mut Answer) -> Result<(), Stop> {
        match tokens(text).and_then(|tokens| parse(&tokens)) {
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
        let failure = match self.run(&statement.does, variables, answer) {
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

    fn run(&mut self, does: &Does, variables: &mut Variables, answer: &mut Answer) -> Result<Flow, Stop> {
        match does {
            Does::Sql(tokens) => {
                let rows = self.query(tokens, variables, answer)?;
                self.known.rows = rows.unwrap_or_default();
                answer.done(rows);
            }
            Does::Begin => self.begin(answer)?,
            Does::Commit => self.commit(answer)?,
            Does::Rollback(savepoint) => self.rollback(savepoint.as_deref(), answer)?,
            Does::Save(name) => self.savepoint(name, answer)?,
            Does::If(condition, then, otherwise) => {
                if self.holds(condition, variables)? {
                    return self.statement(then, variables, answer);
                } else if let Some(otherwise) = otherwise {
                    return self.statement(otherwise, variables, answer);
                }
            }
            Does::While(condition, body) => {
                while self.holds(condition, variables)? {
                    if self.statement(body, variables, answer)? == Flow::End {
                        return Ok(Flow::End);
                    }
                }
            }
            Does::Block(all) => return self.statements(all, variables, answer),
            Does::Declare(all) => {
                for (name, of, value) in all {
                    let value = if value.is_empty() { Value::Null } else { self.value(value, variables)? };
                    variables.insert(name.clone(), Typed { of: *of, value: cast(value, *of)? });
                }
            }
            Does::Set(name, value) => {
                let value = self.value(value, variables)?;
                assign(variables, name, value)?;
            }
            Does::Assign(names, query) => {
                for row in self.all(query, variables)? {
                    for (name, value) in names.iter().zip(row) {
                        assign(variables, name, value)?;
                    }
                }
            }
            Does::Use(name) => self.change_database(name, answer)?,
            Does::Wait(duration) => {
                answer.cancel.wait(*duration)?;
                answer.done(None);
            }
            Does::RaiseError(arguments) => return self.raise(arguments, variables, answer),
            Does::Throw(arguments) => return Err(self.thrown(arguments, variables)?.into()),
            Does::Print(value) => {
                let message = text_of(&self.value(value, variables)?);
                let failure = Failure { class: 0, ..Failure::new(0, message) };
                answer.add(|out| token::failure(out, &failure, "", 1))?;
                answer.done(None);
            }
            Does::Execute(name) => {
                return Err(Failure::new(2812, format!("Could not find stored procedure '{name}'.")).into());
            }
            Does::Return => return Ok(Flow::End),
            Does::Nothing => {}
        }
        Ok(Flow::On)
    }

    fn query(&self, tokens: &[Token], variables: &Variables, answer: &mut Answer) -> Result<Option<u64>, Stop> {
        let translated = statement(tokens, &self.known)?;
        rows::run(&self.connection, &translated, variables, answer)
    }

    /// All rows of a query.
    fn all(&self, tokens: &[Token], variables: &Variables) -> Result<Vec<Vec<Value>>, Failure> {
        let translated = statement(tokens, &self.known)?;
        rows::all(&self.connection, &translated.sql, variables)
    }

    /// The value of an expression.
    fn value(&self, tokens: &[Token], variables: &Variables) -> Result<Value, Failure> {
        let translated = statement(tokens, &self.known)?;
        let rows = rows::all(&self.connection, &format!("SELECT {}", translated.sql), variables)?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or(Value::Null))
    }

    fn holds(&self, condition: &[Token], variables: &Variables) -> Result<bool, Failure> {
        Ok(!matches!(self.value(condition, variables)?, Value::Null | Value::Integer(0)))
    }

    fn raise(&self, arguments: &[Vec<Token>], variables: &Variables, answer: &mut Answer) -> Result<Flow, Stop> {
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
        let failure = Failure { class, state: byte(&state), ..Failure::new(50000, text) };
        if class <= 10 {
            answer.add(|out| token::failure(out, &failure, "", 1))?;
            answer.done(None);
            return Ok(Flow::On);
        }
        Err(failure.into())
    }

    fn thrown(&self, arguments: &[Vec<Token>], variables: &Variables) -> Result<Failure, Failure> {
        let values: Result<Vec<Value>, Failure> =
            arguments.iter().map(|argument| self.value(argument, variables)).collect();
        let Ok([Value::Integer(number), message, state]) = <[Value; 3]>::try_from(values?) else {
            return Ok(Failure::syntax("THROW"));
        };
        let number = i32::try_from(number).unwrap_or(50000);
        let state = text_of(&state).parse().unwrap_or(1);
        Ok(Failure { state, class: 16, ends_batch: true, ..Failure::new(number, text_of(&message)) })
    }

    fn change_database(&mut self, name: &str, answer: &mut Answer) -> Result<(), Stop> {
        let Some(found) = self.databases.iter().find(|own| own.eq_ignore_ascii_case(name)) else {
            let message = format!("Database '{name}' does not exist. Make sure that the name is entered correctly.");
            return Err(Failure::new(911, message).into());
        };
        let old = std::mem::replace(&mut self.known.database, found.clone());
        answer.add(|out| token::changed(out, 1, found, &old))
    }

    // Transactions.

    pub(super) fn begin(&mut self, answer: &mut Answer) -> Result<(), Stop> {
        if self.transaction.is_none() {
            self.sqlite("BEGIN")?;
            self.transactions_so_far += 1;
            let number = u64::from(self.known.spid) << 32 | self.transactions_so_far;
            self.transaction = Some(number);
            answer.add(|out| token::transaction(out, Change::Begin, number))?;
        }
        self.known.transactions += 1;
        answer.done(None);
        Ok(())
    }

    pub(super) fn commit(&mut self, answer: &mut Answer) -> Result<(), Stop> {
        match self.known.transactions {
            0 => {
                let message = "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.";
                return Err(Failure::new(3902, message).into());
            }
            1 => {
                self.sqlite("COMMIT")?;
                self.end_transaction(Change::Commit, answer)?;
            }
            _ => self.known.transactions -= 1,
        }
        answer.done(None);
        Ok(())
    }

    pub(super) fn rollback(&mut self, savepoint: Option<&str>, answer: &mut Answer) -> Result<(), Stop> {
        if self.known.transactions == 0 {
            let message = "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.";
            return Err(Failure::new(3903, message).into());
        }
        let to_savepoint = savepoint.map(|name| format!("ROLLBACK TO {}", super::translate::name(name)));
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
            return Err(Failure::new(628, "Cannot issue SAVE TRANSACTION when there is no active transaction.").into());
        }
        self.sqlite(&format!("SAVEPOINT {}", super::translate::name(name)))?;
        answer.done(None);
        Ok(())
    }

    fn end_transaction(&mut self, change: Change, answer: &mut Answer) -> Result<(), Stop> {
        self.known.transactions = 0;
        let number = self.transaction.take().unwrap_or_default();
        answer.add(|out| token::transaction(out, change, number))
    }

    fn sqlite(&self, sql: &str) -> Result<(), Failure> {
        self.connection.execute_batch(sql).map_err(|error| Failure::from_sqlite(&error))
    }
}

fn assign(variables: &mut Variables, name: &str, value: Value) -> Result<(), Failure> {
    let undeclared = || Failure::new(137, format!("Must declare the scalar variable \"{name}\"."));
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
