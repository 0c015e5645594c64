//! Connections, and what comes of their queries.

use std::rc::Rc;
use std::time::Duration;

use super::{Item, SqlError, Value};
use crate::{Context, Token, platform};

/// How many rows at most come at once.
const MOST: u32 = 1024;

/// What to log in with. It holds surrogates, which are worth nothing elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The surrogate of a token.
    Token(String),
    /// A user of the server's own, for servers that take no token.
    Password {
        /// The user's name.
        user: String,
        /// The surrogate of the password, from an answer in which it is sealed as a `login-password`.
        password: String,
    },
}

impl From<Token> for Credential {
    fn from(token: Token) -> Self {
        Self::Token(token.bearer)
    }
}

/// What a transaction sees of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Snapshot,
    Serializable,
}

/// A connection, out of the mount's pool. When it and its results are dropped it goes back there, in the state of a new
/// one; with an open transaction, or results that are not read to their end, it is closed, which undoes and cancels them.
#[derive(Debug)]
pub struct Connection(Rc<platform::Connection>);

impl Context {
    /// Opens a connection to a database, or takes one out of the mount's pool that was opened with the same.
    ///
    /// # Errors
    ///
    /// [`SqlError`] where the server refuses the login, cannot be reached, or all connections are in use.
    pub fn sql(&self, database: &str, credential: &Credential) -> Result<Connection, SqlError> {
        self.mount.connect(database, credential).map(|connection| Connection(Rc::new(connection)))
    }
}

impl Connection {
    /// Runs statements. Parameters are `@P1`, `@P2` and so on. The time-out is for everything until the last row is read; it
    /// counts in milliseconds.
    ///
    /// # Errors
    ///
    /// [`SqlError`] where the statement cannot be run. An error that comes later is one of the results.
    pub fn query(&self, statement: &str, parameters: &[Value], timeout: Option<Duration>) -> Result<Results, SqlError> {
        let results = self.0.query(statement, parameters, timeout.map(milliseconds))?;
        Ok(Results { results: Some(results), most: MOST, _connection: Rc::clone(&self.0) })
    }

    /// Runs statements, and counts the rows that each of them affected. Rows that they give are passed over.
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
