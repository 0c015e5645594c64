//! Login credentials and isolation levels.

use crate::token::Token;

/// Login credentials. Secrets are surrogates, which are not valid anywhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The surrogate for a token.
    Token(String),
    /// A SQL login, for servers that do not accept tokens.
    Password {
        /// The user's name.
        user: String,
        /// The surrogate for the password, from a response in which it is sealed as a
        /// `login-password`.
        password: String,
    },
}

impl From<Token> for Credential {
    fn from(token: Token) -> Self {
        Self::Token(token.bearer)
    }
}

/// Transaction isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Snapshot,
    Serializable,
}
