//! Logins.

use std::sync::Arc;

use crate::secret::Secret;

/// How a session authenticates to a server.
#[derive(Clone, Debug)]
pub enum Login {
    /// With a Microsoft Entra access token.
    Token {
        /// The audience of the token. Connections that were opened with tokens for other audiences
        /// are not used.
        audience: Arc<str>,
        /// The token.
        token: Secret,
        /// When the token expires, in seconds since 1970-01-01T00:00:00Z.
        expires_on: u64,
    },
    /// As a user that the server itself authenticates.
    Password {
        /// The user's name.
        user: String,
        /// The password, in UTF-8.
        password: Secret,
    },
}

impl Login {
    /// Whether both log in to the same account, as far as that can be known: tokens for one
    /// audience, or the same user with the same password.
    pub(crate) fn is_same_account(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Token { audience, .. }, Self::Token { audience: other, .. }) => {
                audience == other
            }
            (
                Self::Password { user, password },
                Self::Password { user: other_user, password: other_password },
            ) => user == other_user && password == other_password,
            (Self::Token { .. }, Self::Password { .. })
            | (Self::Password { .. }, Self::Token { .. }) => false,
        }
    }

    /// When the login's token expires, in seconds since 1970-01-01T00:00:00Z.
    pub(crate) fn expires_on(&self) -> Option<u64> {
        match self {
            Self::Token { expires_on, .. } => Some(*expires_on),
            Self::Password { .. } => None,
        }
    }
}
