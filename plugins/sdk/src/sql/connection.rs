//! Connections, and what comes of their queries.

use std::rc::Rc;
use std::time::Duration;

use crate::context::Context;
use crate::platform;
use crate::sql_data::{Credential, Isolation, Item, SqlError, Value};

/// How many rows at most come at once.
const MOST: u32 = 1024;

/// A connection, out of the mount's pool. When it and its results are dropped it goes back there,
/// in the state of a new one; with an open transaction, or results that are not read to their end,
/// it is closed, which undoes and cancels them.
#[derive(Debug)]
pub struct Connection(Rc<platform::Connection>);

impl Context {
    /// Opens a connection to a database, or takes one out of the mount's pool that was opened with
    /// the same.
    ///
    /// # Errors
    ///
    /// [`SqlError`] where the server refuses the login, cannot be reached, or all connections are
    /// in use.
    pub fn sql(&self, database: &str, credential: &Credential) -> Result<Connection, SqlError> {
        self.mount.connect(database, credential).map(|connection| Connection(Rc::new(connection)))
    }
}

impl Connection {
    /// Runs statements. Parameters are `@P1`, `@P2` and so on. The time-out is for everything until
    /// the last row is read; it counts in milliseconds.
    ///
    /// # Errors
    ///
    /// [`SqlError`] where the statement cannot be run. An error that comes later is one of the
    /// results.
    pub fn query(
        &self,
        statement: &str,
        parameters: &[Value],
        timeout: Option<Duration>,
    ) -> Result<Results, SqlError> {
        let results = self.0.query(statement, parameters, timeout.map(milliseconds))?;
        Ok(Results { results: Some(results), most: MOST, _connection: Rc::clone(&self.0) })
    }

    /// Runs statements, and counts the rows that each of them affected. Rows that they give are
    /// passed over.
    ///
    /// # Errors
    ///
    /// [`SqlError`] where a statement failed.
    pub fn execute(
        &self,
        statement: &str,
        parameters: &[Value],
        timeout: Option<Duration>,
    ) -> Result<Vec<u64>, SqlError> {
        self.0.execute(statement, parameters, timeout.map(milliseconds))
    }

    /// Begins a transaction.
    ///
    /// # Errors
    ///
    /// [`SqlError`] where there is one already, or the server refuses.
    pub fn begin(&self, isolation: Option<Isolation>) -> Result<(), SqlError> {
        self.0.begin(isolation)
    }

    /// Makes the transaction's changes last.
    ///
    /// # Errors
    ///
    /// [`SqlError`] where there is none, or the server refuses.
    pub fn commit(&self) -> Result<(), SqlError> {
        self.0.commit()
    }

    /// Undoes the transaction's changes.
    ///
    /// # Errors
    ///
    /// [`SqlError`] where there is none, or the server refuses.
    pub fn rollback(&self) -> Result<(), SqlError> {
        self.0.rollback()
    }
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// What comes of a query, as it arrives. To drop it before its end cancels the query.
///
/// The fields are in the order in which they must be dropped.
#[derive(Debug)]
pub struct Results {
    results: Option<platform::Results>,
    most: u32,
    _connection: Rc<platform::Connection>,
}

impl Results {
    /// The same, with at most so many rows at once.
    #[must_use]
    pub fn with_most(mut self, rows: u32) -> Self {
        self.most = rows.max(1);
        self
    }
}

impl Iterator for Results {
    type Item = Result<Item, SqlError>;

    /// What comes next: at most about 64 KiB. After an error there is nothing.
    fn next(&mut self) -> Option<Self::Item> {
        let next = self.results.as_ref()?.next(self.most).transpose();
        if !matches!(next, Some(Ok(_))) {
            self.results = None;
        }
        next
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::sql::{Column, DataType};
    use crate::testing::{Mount, Reply, text};
    use crate::{Method, Plugin, Problem, Request, Response};

    struct Moves;

    impl Plugin for Moves {
        fn handle(request: Request, cx: &Context) -> Result<Response, Problem> {
            let failed = |error: SqlError| Problem::internal(error.to_string());
            let connection =
                cx.sql("orders", &Credential::from(cx.token("sql")?)).map_err(failed)?;
            connection.begin(Some(Isolation::Snapshot)).map_err(failed)?;
            let time = Some(Duration::from_secs(5));
            let counts = connection
                .execute("update t set a = @P1", &[Value::Int(7)], time)
                .map_err(failed)?;
            connection.commit().map_err(failed)?;
            let results = connection.query("select a from t", &[], None).map_err(failed)?;
            drop(connection);
            let seen: Vec<String> = results.with_most(1).map(|item| format!("{item:?}")).collect();
            Ok(Response::new(200).with_body(format!(
                "{} {counts:?} {}",
                request.method,
                seen.join(" ")
            )))
        }
    }

    #[test]
    fn a_stand_in_answers_statement_by_statement() {
        let log = Rc::new(RefCell::new(Vec::new()));
        let asked = Rc::clone(&log);
        let response = Mount::new()
            .endpoint("sql", "https://contoso.database.windows.net")
            .database(move |asked| {
                log.borrow_mut().push((
                    asked.statement.clone(),
                    asked.parameters.len(),
                    asked.timeout,
                ));
                assert_eq!(asked.credential, Credential::Token("surrogate-for-sql".into()));
                match asked.statement.as_str() {
                    "select a from t" => Ok(Reply::items([
                        Ok(Item::Columns(vec![Column::new("a", DataType::Int)])),
                        Err(SqlError::TimedOut),
                        Ok(Item::Rows(Vec::new())),
                    ])),
                    _ => Ok(Reply::counts(&[3])),
                }
            })
            .call::<Moves>(Request::new(Method::Post, "/"));
        let text = text(response);
        assert!(
            text.starts_with("POST [3] Ok(Columns(") && text.ends_with(") Err(TimedOut)"),
            "{text}"
        );
        let asked: Vec<String> = asked.borrow().iter().map(|asked| format!("{asked:?}")).collect();
        assert_eq!(
            asked,
            [
                "(\"begin transaction: Snapshot\", 0, None)",
                "(\"update t set a = @P1\", 1, Some(5s))",
                "(\"commit transaction\", 0, None)",
                "(\"select a from t\", 0, None)",
            ]
        );
    }

    #[test]
    fn without_a_database_nothing_is_reached() {
        let mount = Mount::new().endpoint("sql", "https://contoso.database.windows.net");
        assert!(
            text(mount.call::<Moves>(Request::get("/"))).contains("no connection to the server")
        );
    }
}
