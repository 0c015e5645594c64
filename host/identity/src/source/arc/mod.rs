//! Azure Arc: servers elsewhere, whose agent gives tokens to whoever may read its files ([how it is asked for tokens]).
//!
//! The first request is refused with the path of a file. Only members of a group can read it; what is in it authorises the
//! second request.
//!
//! [how it is asked for tokens]: https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication

mod challenge;

use std::fmt;
use std::path::{Path, PathBuf};

use http::{HeaderValue, Request, StatusCode};

use super::endpoint::{self, Endpoint, get, with_authorization};
use super::retry::Attempt;
use super::transport::Body;
use super::{Env, Fetch, InvalidSource, Issued, Settings, SourceKind, TokenSource, UserAssigned, invalid};
use crate::{Audience, TokenError};

const KIND: SourceKind = SourceKind::Arc;
const API_VERSION: &str = "2019-11-01";

/// Where the agent listens on every machine that has one.
const ENDPOINT: &str = "http://localhost:40342/metadata/identity/oauth2/token";

/// The agent of Azure Arc. A server has its system-assigned identity, and no other.
#[derive(Clone)]
pub struct AzureArc {
    endpoint: Endpoint,
    directory: PathBuf,
}

impl AzureArc {
    /// The address in `IDENTITY_ENDPOINT`.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] where it cannot be used, or an identity is named.
    pub fn new(endpoint: &str, identity: Option<UserAssigned>) -> Result<Self, InvalidSource> {
        invalid::check(KIND, identity.as_ref())?;
        let endpoint = Endpoint::new(KIND, "http", endpoint)?;
        Ok(Self { endpoint, directory: challenge::directory(&|name| std::env::var(name).ok()) })
    }

    /// The same, from the variable that the agent sets; where it is not set, which takes a new login after the agent's
    /// installation, its usual address.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] where it cannot be used, or an identity is named.
    pub fn from_env(env: Env<'_>, identity: Option<UserAssigned>) -> Result<Self, InvalidSource> {
        let endpoint = endpoint::variable(KIND, env, "IDENTITY_ENDPOINT").unwrap_or_else(|_| ENDPOINT.to_owned());
        Ok(Self { directory: challenge::directory(env), ..Self::new(&endpoint, identity)? })
    }

    /// How it is asked.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.endpoint.set(settings);
        self
    }

    /// Another directory for the agent's files than `/var/opt/azcmagent/tokens` (on Windows,
    /// `%ProgramData%\AzureConnectedMachineAgent\Tokens`): for tests. What a challenge names outside of it is not read.
    #[must_use]
    pub fn directory(mut self, directory: impl AsRef<Path>) -> Self {
        directory.as_ref().clone_into(&mut self.directory);
        self
    }

    fn request(&self, audience: &Audience) -> Result<Request<Body>, http::Error> {
        let url = self.endpoint.query(&[("api-version", API_VERSION), ("resource", audience.as_str())]);
        get(url, "metadata", HeaderValue::from_static("true"))
    }

    async fn attempt(&self, audience: &Audience) -> Attempt<Issued> {
        let first = match self.endpoint.send(self.request(audience)).await {
            Ok(answer) => answer,
            Err(attempt) => return attempt,
        };
        if first.status != StatusCode::UNAUTHORIZED {
            return self.endpoint.judge(audience, None, &first);
        }
        match self.answer_to(&first.headers).await {
            Ok(value) => self.endpoint.ask(audience, None, with_authorization(self.request(audience), value)).await,
            Err(error) => Attempt::Final(error),
        }
    }

    async fn answer_to(&self, headers: &http::HeaderMap) -> Result<HeaderValue, TokenError> {
        let path = challenge::path(headers)?;
        let directory = self.directory.clone();
        let read = tokio::task::spawn_blocking(move || challenge::read(&directory, &path)).await;
        let abandoned = |_| TokenError::Unavailable { said: "reading the challenge's file was abandoned".to_owned() };
        read.map_err(abandoned)?
    }
}

impl TokenSource for AzureArc {
    fn fetch<'a>(&'a self, audience: &'a Audience) -> Fetch<'a> {
        Box::pin(self.endpoint.token(move || self.attempt(audience)))
    }

    fn describe(&self) -> String {
        "Azure Arc, system-assigned".to_owned()
    }
}

impl fmt::Debug for AzureArc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureArc").field("endpoint", &self.endpoint.url).field("directory", &self.directory).finish()
    }
}
