//! Credentials of logins, and isolation levels.

use crate::token::Token;

/// What to log in with. It holds surrogates, which are worth nothing elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The surrogate of a token.
    Token(String),
    /// A user of the server's own, for servers that take no token.
    Password {
        /// The user's name.
        user: String,
        /// The surrogate of the password, from an answer in which it is sealed as a
        /// `login-password`.
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
