//! Connections and the results of their queries.

use std::rc::Rc;
use std::time::Duration;

use crate::context::Context;
use crate::platform;
use crate::sql_data::{Credential, Isolation, Item, SqlError, Value};

/// Default for the maximum number of rows in one item.
const MAX_ROWS: u32 = 1024;

/// A pooled connection of the mount. Once it and its results are dropped, it returns to the pool,
/// where it is reset. With an open transaction or unread results it is closed instead, which rolls
/// back the transaction and cancels the query.
#[derive(Debug)]
pub struct Connection(Rc<platform::Connection>);

impl Context {
    /// Opens a connection to a database, or takes one from the mount's pool that was opened with
    /// the same database and credential.
    ///
    /// # Errors
    ///
    /// [`SqlError`] if the server rejects the login or cannot be reached, or if all connections are
    /// in use.
    pub fn sql(&self, database: &str, credential: &Credential) -> Result<Connection, SqlError> {
        self.mount.connect(database, credential).map(|connection| Connection(Rc::new(connection)))
    }
}

impl Connection {
    /// Runs statements. Parameters are `@P1`, `@P2` and so on. The timeout covers the time until
    /// the last row is read, and has a resolution of milliseconds.
    ///
    /// # Errors
    ///
    /// [`SqlError`] if the statement cannot be run. Later errors are returned by [`Results`].
    pub fn query(
        &self,
        statement: &str,
        parameters: &[Value],
        timeout: Option<Duration>,
    ) -> Result<Results, SqlError> {
        let results = self.0.query(statement, parameters, timeout.map(milliseconds))?;
        Ok(Results { results: Some(results), max_rows: MAX_ROWS, _connection: Rc::clone(&self.0) })
    }

    /// Runs statements and returns the number of rows that each of them affected or selected. Rows
    /// are discarded.
    ///
    /// # Errors
    ///
    /// [`SqlError`] if a statement fails.
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
    /// [`SqlError`] if a transaction is open already, or the server rejects it.
    pub fn begin(&self, isolation: Option<Isolation>) -> Result<(), SqlError> {
        self.0.begin(isolation)
    }

    /// Commits the transaction.
    ///
    /// # Errors
    ///
    /// [`SqlError`] if no transaction is open, or the server rejects it.
    pub fn commit(&self) -> Result<(), SqlError> {
        self.0.commit()
    }

    /// Rolls the transaction back.
    ///
    /// # Errors
    ///
    /// [`SqlError`] if no transaction is open, or the server rejects it.
    pub fn rollback(&self) -> Result<(), SqlError> {
        self.0.rollback()
    }
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// The results of a query, as they arrive. Dropping them before the end cancels the query.
///
/// The fields are declared in drop order.
#[derive(Debug)]
pub struct Results {
    results: Option<platform::Results>,
    max_rows: u32,
    _connection: Rc<platform::Connection>,
}

impl Results {
    /// Sets the maximum number of rows in one item, at least 1.
    #[must_use]
    pub fn with_max_rows(mut self, rows: u32) -> Self {
        self.max_rows = rows.max(1);
        self
    }
}

impl Iterator for Results {
    type Item = Result<Item, SqlError>;

    /// The next item, of about 64 KiB at most. An error ends the results.
    fn next(&mut self) -> Option<Self::Item> {
        let next = self.results.as_ref()?.next(self.max_rows).transpose();
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

    struct UpdateAndSelect;

    impl Plugin for UpdateAndSelect {
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
            let seen: Vec<String> =
                results.with_max_rows(1).map(|item| format!("{item:?}")).collect();
            Ok(Response::new(200).with_body(format!(
                "{} {counts:?} {}",
                request.method,
                seen.join(" ")
            )))
        }
    }

    #[test]
    fn a_mock_database_replies_to_each_statement() {
        let log = Rc::new(RefCell::new(Vec::new()));
        let requests = Rc::clone(&log);
        let response = Mount::new()
            .endpoint("sql", "https://contoso.database.windows.net")
            .database(move |request| {
                log.borrow_mut().push((
                    request.statement.clone(),
                    request.parameters.len(),
                    request.timeout,
                ));
                assert_eq!(request.credential, Credential::Token("surrogate-for-sql".into()));
                match request.statement.as_str() {
                    "select a from t" => Ok(Reply::items([
                        Ok(Item::Columns(vec![Column::new("a", DataType::Int)])),
                        Err(SqlError::TimedOut),
                        Ok(Item::Rows(Vec::new())),
                    ])),
                    _ => Ok(Reply::counts(&[3])),
                }
            })
            .call::<UpdateAndSelect>(Request::new(Method::Post, "/"));
        let text = text(response);
        assert!(
            text.starts_with("POST [3] Ok(Columns(") && text.ends_with(") Err(TimedOut)"),
            "{text}"
        );
        let requests: Vec<String> =
            requests.borrow().iter().map(|request| format!("{request:?}")).collect();
        assert_eq!(
            requests,
            [
                "(\"begin transaction: Snapshot\", 0, None)",
                "(\"update t set a = @P1\", 1, Some(5s))",
                "(\"commit transaction\", 0, None)",
                "(\"select a from t\", 0, None)",
            ]
        );
    }

    #[test]
    fn a_mount_without_a_database_is_unreachable() {
        let mount = Mount::new().endpoint("sql", "https://contoso.database.windows.net");
        assert!(
            text(mount.call::<UpdateAndSelect>(Request::get("/")))
                .contains("no connection to the server")
        );
    }
}
