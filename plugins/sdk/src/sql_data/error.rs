//! Database errors.

use std::fmt;

/// An error reported by the server. [SQL Server's documentation] explains each number.
///
/// [SQL Server's documentation]: https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerError {
    /// The error number.
    pub number: u32,
    /// The location in the server's code.
    pub state: u8,
    /// Severity: the caller can correct 11 to 16; 20 and above end the connection.
    pub class: u8,
    /// The line of the statement, from 1.
    pub line: u32,
    /// The server's message.
    pub message: String,
    /// The stored procedure in which the error occurred, if any.
    pub procedure: Option<String>,
}

/// Errors of connections and queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqlError {
    /// The server rejected the login or the statement.
    Server(ServerError),
    /// The identity could not obtain a token. The text gives the reason and the remedy.
    Unavailable(String),
    /// The identity endpoint is throttling: retry after this many seconds.
    Throttled(u32),
    /// The connection failed. Nothing was executed.
    Unreachable(String),
    /// All connections of the mount are in use, and none was released in time. Nothing was
    /// executed.
    Busy(String),
    /// The connection broke. The statement may or may not have been executed.
    Broken(String),
    /// The statement exceeded its timeout and is cancelled.
    TimedOut,
    /// Invalid use: a malformed value, a commit without a transaction, or a query while the results
    /// of another are unread.
    Invalid(String),
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(error) => {
                write!(f, "the server reported error {}: {}", error.number, error.message)
            }
            Self::Unavailable(why) => write!(f, "the identity has no token: {why}"),
            Self::Throttled(seconds) => {
                write!(
                    f,
                    "the identity endpoint requires a wait of {seconds} s before the next request"
                )
            }
            Self::Unreachable(why) => write!(f, "no connection to the server: {why}"),
            Self::Busy(why) => write!(f, "no connection is free: {why}"),
            Self::Broken(why) => write!(f, "the connection to the server broke: {why}"),
            Self::TimedOut => f.write_str("the statement exceeded its timeout"),
            Self::Invalid(why) => write!(f, "the database request is invalid: {why}"),
        }
    }
}

impl std::error::Error for SqlError {}
