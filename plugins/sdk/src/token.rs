//! Surrogates of access tokens.

/// The stand-in for an access token.
#[derive(Clone, Debug)]
pub struct Token {
    /// The surrogate: what to send where a token belongs.
    pub bearer: String,
    /// When the token behind it stops being valid, in seconds since 1970-01-01T00:00:00Z.
    pub expires_on: u64,
}
