//! Errors.

use std::io;
use std::time::Duration;

use crate::hooks::{Redact, redact_text};
use crate::parameter::InvalidParameter;

/// An error that the server reported.
///
/// Its `Display` has the number only: messages quote statements and data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("server error {number}")]
pub struct ServerError {
    /// The error's number.
    pub number: u32,
    /// The state, which tells apart the places that raise the same error.
    pub state: u8,
    /// The class, or severity.
    pub class: u8,
    /// The line of the batch or the procedure, beginning with 1.
    pub line: u32,
    /// The message, without secrets of the login.
    pub message: String,
    /// The procedure that failed, if one did.
    pub procedure: Option<String>,
}

/// Errors of Azure SQL that pass by themselves: the database moves, or the server is short of a
/// resource ([list]). 4060 is one of them while a connection is opened.
///
/// [list]: https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues
const TRANSIENT: [u32; 9] = [4060, 10928, 10929, 40197, 40501, 40613, 49918, 49919, 49920];

/// The server rejected a login.
const LOGIN_FAILED: u32 = 18456;

/// The lowest class at which the server closes the connection.
const FATAL: u8 = 20;

impl ServerError {
    /// Whether the server rejected the login's user or password, or its token.
    #[must_use]
    pub fn is_rejected_login(&self) -> bool {
        self.number == LOGIN_FAILED
    }

    pub(crate) fn is_transient(&self) -> bool {
        TRANSIENT.contains(&self.number)
    }

    pub(crate) fn is_fatal(&self) -> bool {
        self.class >= FATAL
    }

    fn new(
        error: &tiberius::error::TokenError,
        redactor: &dyn Redact,
        redacted: &mut bool,
    ) -> Self {
        let procedure = Some(error.procedure()).filter(|name| !name.is_empty());
        Self {
            number: error.code(),
            state: error.state(),
            class: error.class(),
            line: error.line(),
            message: redact_text(error.message().into(), redactor, redacted),
            procedure: procedure.map(|name| redact_text(name.into(), redactor, redacted)),
        }
    }
}

/// Why a connection cannot be used any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The network or TLS failed, or the server closed the connection.
    #[error("{message}")]
    Io {
        /// What kind of error it is.
        kind: io::ErrorKind,
        /// The error's message.
        message: String,
    },
    /// The server sent a value that is invalid for its type.
    #[error("{0}")]
    InvalidValue(String),
    /// The server sent something else than TDS.
    #[error("the server sent something other than TDS: {0}")]
    Malformed(String),
}

/// What an error of `tiberius` means.
pub(crate) enum DriverError {
    Server(ServerError),
    Redirect { host: String, port: u16 },
    Protocol(ProtocolError),
}

impl DriverError {
    /// Reads an error. Sets `redacted` if a secret was removed from it.
    pub(crate) fn new(
        error: tiberius::error::Error,
        redactor: &dyn Redact,
        redacted: &mut bool,
    ) -> Self {
        use tiberius::error::Error;
        match error {
            Error::Server(error) => Self::Server(ServerError::new(&error, redactor, redacted)),
            Error::Routing { host, port } => Self::Redirect { host, port },
            Error::Io { kind, message } => Self::Protocol(ProtocolError::Io { kind, message }),
            Error::Conversion(message) => {
                Self::Protocol(ProtocolError::InvalidValue(message.into_owned()))
            }
            other => Self::Protocol(ProtocolError::Malformed(other.to_string())),
        }
    }
}

/// The error of a failed encrypted connection to a server. `E` is the error of the
/// [`Connect`](crate::Connect) in use.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError<E: std::error::Error + 'static> {
    /// The host could not be connected to.
    #[error(transparent)]
    Connect(E),
    /// The server does not encrypt, its certificate is not trusted, or the handshake failed
    /// otherwise.
    #[error("no TLS with {host}: {source}")]
    Tls {
        /// The server's host name.
        host: String,
        /// The cause.
        source: io::Error,
    },
    /// It took too long.
    #[error("{host} did not accept a connection and a login within {limit:?}")]
    TimedOut {
        /// The server's host name.
        host: String,
        /// The time limit.
        limit: Duration,
    },
}

/// Why a session was not opened. `E` is the error of the [`Connect`](crate::Connect) in use.
#[derive(Debug, thiserror::Error)]
pub enum OpenError<E: std::error::Error + 'static> {
    /// All connections of the pool are in use, and none became free in time.
    #[error("all {connections} database connections are in use")]
    Exhausted {
        /// How many connections the pool may have.
        connections: u32,
    },
    /// The server cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError<E>),
    /// The connection failed during the login.
    #[error("the login to {host} failed: {source}")]
    Login {
        /// The server's host name.
        host: String,
        /// The cause.
        source: ProtocolError,
    },
    /// The server refused the login, or was short of a resource several times in a row.
    #[error(transparent)]
    Server(ServerError),
    /// A gateway redirects to a server that [`SessionHooks`](crate::SessionHooks) does not allow.
    /// The server's name is left out: it can be anything, secrets of the login too.
    #[error("{host} redirects to a server that is not a node of its service")]
    ForbiddenRedirect {
        /// The gateway's host name.
        host: String,
    },
    /// Gateways redirected to one another.
    #[error("the login ended at {host} after too many redirects")]
    TooManyRedirects {
        /// The host name of the last gateway.
        host: String,
    },
}

/// Why a request of a session failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The server reported an error. The session can be used further unless the error's class is
    /// 20 or more.
    #[error(transparent)]
    Server(ServerError),
    /// The connection broke. Whether the statement was run is unknown.
    #[error("the connection broke: {0}")]
    Broken(#[source] ProtocolError),
    /// The connection broke earlier, or a request on it was cancelled.
    #[error("an earlier request on the connection failed or was cancelled")]
    Closed,
    /// The request exceeded its time limit. The connection is closed.
    #[error("the statement exceeded its time limit")]
    TimedOut,
    /// A row is longer than the pool's limit. The connection is closed.
    #[error("a row is longer than {limit} bytes")]
    RowTooLong {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The results of an earlier query are still open.
    #[error("the results of a query were neither read to their end nor dropped")]
    UnreadResults,
    /// A transaction cannot begin in another one.
    #[error("a transaction is open already")]
    TransactionOpen,
    /// There is no transaction to end.
    #[error("no transaction is open")]
    NoTransaction,
    /// A parameter is invalid. Nothing was sent.
    #[error(transparent)]
    InvalidParameter(#[from] InvalidParameter),
}
