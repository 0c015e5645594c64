//! The trait of identity sources.

use std::pin::Pin;

use super::issued::Issued;
use super::needs::Needs;
use crate::{Audience, TokenError};

/// Environment variables, as a source reads them: `|name| std::env::var(name).ok()`.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The future that [`TokenSource::fetch`] returns.
pub type Fetch<'a> = Pin<Box<dyn Future<Output = Result<Issued, TokenError>> + Send + 'a>>;

/// Issues tokens. A service that embeds the broker may have a source of its own.
///
/// ```
/// use keyward_identity::{AccessToken, Audience, Fetch, TokenSource};
///
/// struct Fixed;
///
/// impl TokenSource for Fixed {
///     fn fetch<'a>(&'a self, _audience: &'a Audience) -> Fetch<'a> {
///         let secret = "from somewhere else".replace(' ', "-");
///         Box::pin(async { Ok(AccessToken::new(secret, 4_102_444_800)?.into()) })
///     }
///
///     fn describe(&self) -> String {
///         "a fixed token".into()
///     }
/// }
/// ```
pub trait TokenSource: Send + Sync + 'static {
    /// Gets a new token for an audience. A [`TokenCache`](crate::TokenCache) has one call at a time
    /// for an audience and pauses after a failure, so a source needs to do neither.
    fn fetch<'a>(&'a self, audience: &'a Audience) -> Fetch<'a>;

    /// A short description for logs and messages: `IMDS, system-assigned`.
    fn describe(&self) -> String;

    /// What it uses of this machine, for a program that confines itself. The default is nothing.
    fn needs(&self) -> Needs {
        Needs::default()
    }
}
