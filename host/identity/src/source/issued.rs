//! A token as its source issued it.

use std::time::Duration;

use crate::AccessToken;

/// A token as its source issued it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Issued {
    /// The token.
    pub token: AccessToken,
    /// How long it is valid from now on, if the source says so. It takes precedence over
    /// [`AccessToken::expires_on`], since it does not depend on the wall clock.
    pub expires_in: Option<Duration>,
    /// The client id of the token's identity, if the response contains it beside the token.
    pub client_id: Option<String>,
    /// The endpoint's clock, since 1970-01-01T00:00:00Z, if the response says it.
    pub endpoint_clock: Option<Duration>,
}

impl Issued {
    /// A token that is valid for `expires_in` from now on.
    #[must_use]
    pub fn new(token: AccessToken, expires_in: Option<Duration>) -> Self {
        Self { expires_in, ..token.into() }
    }
}

impl From<AccessToken> for Issued {
    fn from(token: AccessToken) -> Self {
        Self { token, expires_in: None, client_id: None, endpoint_clock: None }
    }
}
