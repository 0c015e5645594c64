//! Why a database did not do something.

use std::fmt;

/// An error of the server's, as it tells it. What each number means is in [SQL Server's
/// documentation](https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerError {
    /// Which error it is.
    pub number: u32,
    /// Where in the server it came up.
    pub state: u8,
    /// How severe it is: 11 to 16 can be fixed by the caller, 20 and more end the connection.
    pub class: u8,
    /// The line of the statement, from 1.
    pub line: u32,
    /// What the server says.
    pub message: String,
    /// The stored procedure, where it was in one.
    pub procedure: Option<String>,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqlError {
    /// The server refused it: the login, or the statement.
    Server(ServerError),
    /// The identity could not get a token. The text says why and what to do about it.
    Unavailable(String),
    /// The identity endpoint asks for patience: try again after so many seconds.
    Throttled(u32),
    /// No connection can be made. Nothing was done.
    Unreachable(String),
    /// All connections of the mount are in use, and none came back in time. Nothing was done.
    Busy(String),
    /// The connection broke. Whether the statement was run, nobody knows.
    Broken(String),
    /// It took longer than it may. The statement is cancelled.
    TimedOut,
    /// What the plugin asks for cannot be: a value that is none of its type, a commit without a
    /// transaction, a query while another's results are not read.
    Invalid(String),
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(error) => {
                write!(f, "the server refused it ({}): {}", error.number, error.message)
            }
            Self::Unavailable(why) => write!(f, "the identity has no token: {why}"),
            Self::Throttled(seconds) => {
                write!(f, "the identity endpoint asks to wait {seconds} s before the next request")
            }
            Self::Unreachable(why) => write!(f, "no connection to the server: {why}"),
            Self::Busy(why) => write!(f, "no connection is free: {why}"),
            Self::Broken(why) => write!(f, "the connection to the server broke: {why}"),
            Self::TimedOut => f.write_str("the statement took longer than it may"),
            Self::Invalid(why) => write!(f, "the database cannot be asked for this: {why}"),
        }
    }
}

impl std::error::Error for SqlError {}
