//! Surrogates for access tokens.

/// A surrogate for an access token.
#[derive(Clone, Debug)]
pub struct Token {
    /// The surrogate, to be sent in place of the token.
    pub bearer: String,
    /// When the real token expires, in seconds since 1970-01-01T00:00:00Z.
    pub expires_on: u64,
}
