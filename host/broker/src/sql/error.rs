//! Why something was not done with a database.

use tiberius::error::TokenError;

/// An error of the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerError {
    pub(crate) number: u32,
    pub(crate) state: u8,
    pub(crate) class: u8,
    pub(crate) line: u32,
    pub(crate) message: String,
    pub(crate) procedure: Option<String>,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SqlError {
    #[error("server error {}", .0.number)]
    Server(ServerError),
    #[error("{0}")]
    Unavailable(String),
    #[error("the identity endpoint asks to wait {0} s")]
    Throttled(u32),
    #[error("{0}")]
    Unreachable(String),
    #[error("{0}")]
    Busy(String),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("it took longer than the plugin allowed")]
    TimedOut,
    #[error("{0}")]
    Invalid(String),
    /// The call has ended with a verdict.
    #[error("refused")]
    Refused,
}

/// What Azure SQL says in passing, and not about the request: the database moves, the server is short of something
/// ([list](https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues)). 4060 is one while a
/// connection is opened.
const TRANSIENT: [u32; 9] = [4060, 10928, 10929, 40197, 40501, 40613, 49918, 49919, 49920];

/// A login that the server refused.
const LOGIN_FAILED: u32 = 18456;

/// From this class on the server closes the connection.
const FATAL: u8 = 20;

impl ServerError {
    pub(super) fn is_transient(&self) -> bool {
        TRANSIENT.contains(&self.number)
    }

    pub(super) fn is_refused_login(&self) -> bool {
        self.number == LOGIN_FAILED
    }

    pub(super) fn is_fatal(&self) -> bool {
        self.class >= FATAL
    }
}

impl From<&TokenError> for ServerError {
    fn from(error: &TokenError) -> Self {
        Self {
            number: error.code(),
            state: error.state(),
            class: error.class(),
            line: error.line(),
            message: error.message().to_owned(),
            procedure: Some(error.procedure().to_owned()).filter(|name| !name.is_empty()),
        }
    }
}

impl From<&tiberius::error::Error> for SqlError {
    fn from(error: &tiberius::error::Error) -> Self {
        match error {
            tiberius::error::Error::Server(error) => Self::Server(error.into()),
            tiberius::error::Error::Io { message, .. } => Self::Broken(message.clone()),
            tiberius::error::Error::Conversion(why) => Self::Broken(why.to_string()),
            other => Self::Broken(format!("the server sent what is not TDS, {other}")),
        }
    }
}
