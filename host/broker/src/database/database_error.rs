//! Errors that plugins see of databases.

use keyward_identity::TokenError;
use keyward_sql::ServerError;

/// Why a request to a database failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DatabaseError {
    /// The server reported an error.
    #[error(transparent)]
    Server(ServerError),
    /// There is no token.
    #[error("{0}")]
    Unavailable(String),
    /// The identity endpoint throttles. In how many seconds to retry.
    #[error("the identity endpoint asks to wait {0} s")]
    Throttled(u32),
    /// The server cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// All connections of the mount are in use.
    #[error("{0}")]
    Busy(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The request exceeded the plugin's time limit.
    #[error("the statement exceeded its time limit")]
    TimedOut,
    /// The plugin used the interface wrongly.
    #[error("{0}")]
    Invalid(String),
    /// The call was ended.
    #[error("denied")]
    Denied,
}

impl From<TokenError> for DatabaseError {
    fn from(error: TokenError) -> Self {
        if let TokenError::Throttled { retry_after } = error {
            let seconds = u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX);
            return Self::Throttled(seconds.max(1));
        }
        Self::Unavailable(error.message_and_help())
    }
}
