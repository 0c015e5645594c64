//! Where tokens come from. One file a source.

mod answer;
mod app_service;
mod arc;
mod auto;
mod azure_cli;
mod cloud_shell;
mod endpoint;
mod expiry;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod imds;
mod invalid;
mod make;
mod pace;
mod refusal;
mod retry;
mod service_fabric;
mod settings;
mod tls;
mod transport;
mod workload_identity;

use std::pin::Pin;
use std::time::Duration;

pub use app_service::AppService;
pub use arc::AzureArc;
pub use auto::{Detected, auto, detect, traces};
pub use azure_cli::AzureCli;
pub use cloud_shell::CloudShell;
pub use imds::{Imds, InvalidEndpoint};
pub use invalid::InvalidSource;
pub use keyward_types::{SourceKind, UserAssigned};
pub use make::source;
pub use pace::Pace;
pub use retry::Retry;
pub use service_fabric::ServiceFabric;
pub use settings::Settings;
pub use tls::{InvalidCertificates, Tls};
pub use workload_identity::WorkloadIdentity;

use crate::{AccessToken, Audience, TokenError};

/// Environment variables, as a source reads them: `|name| std::env::var(name).ok()`.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What [`TokenSource::fetch`] gives back.
pub type Fetch<'a> = Pin<Box<dyn Future<Output = Result<Issued, TokenError>> + Send + 'a>>;

/// Gets tokens. A service that embeds the broker may bring its own.
///
/// ```
/// use keyward_identity::{AccessToken, Audience, Fetch, TokenSource};
///
/// struct Fixed;
///
/// impl TokenSource for Fixed {
///     fn fetch<'a>(&'a self, _audience: &'a Audience) -> Fetch<'a> {
///         Box::pin(async { Ok(AccessToken::new("from somewhere else".replace(' ', "-"), 4_102_444_800)?.into()) })
///     }
///
///     fn describe(&self) -> String {
///         "a fixed token".into()
///     }
/// }
/// ```
pub trait TokenSource: Send + Sync + 'static {
    /// Gets a new token for an audience. A [`TokenCache`](crate::TokenCache) calls this once at a time for an audience,
    /// and remembers a failure for a moment; a source need not care for either.
    fn fetch<'a>(&'a self, audience: &'a Audience) -> Fetch<'a>;

    /// What it is, in a few words, for people: `IMDS, system-assigned`.
    fn describe(&self) -> String;
}

/// A token as its source gave it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Issued {
    /// The token.
    pub token: AccessToken,
    /// For how long it is valid from now on, where the source said so. It is believed before
    /// [`AccessToken::expires_on`], since it needs no wall clock that is right.
    pub expires_in: Option<Duration>,
    /// The client id of the identity that it is for, where the answer says so beside the token.
    pub client_id: Option<String>,
    /// What the endpoint's clock said, since 1970-01-01T00:00:00Z, where it has one.
    pub endpoint_clock: Option<Duration>,
}

impl Issued {
    /// A token that is valid for so long from now on.
    #[must_use]
    pub fn new(token: AccessToken, expires_in: Option<Duration>) -> Self {
        Self { expires_in, ..token.into() }
    }

    /// Reads a token endpoint's answer (status 200) as every source here does: JSON with `access_token`, and `expires_on` or
    /// `expires_in` in one of the ways in which they arrive. `wall` is now, since 1970-01-01T00:00:00Z. For a source of one's
    /// own.
    ///
    /// # Errors
    ///
    /// [`TokenError::Malformed`], which quotes nothing of the answer.
    pub fn from_answer(body: &[u8], wall: Duration) -> Result<Self, TokenError> {
        answer::parse(body, wall, None)
    }
}

impl From<AccessToken> for Issued {
    fn from(token: AccessToken) -> Self {
        Self { token, expires_in: None, client_id: None, endpoint_clock: None }
    }
}
