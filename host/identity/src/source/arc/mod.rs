//! Azure Arc: servers outside of Azure, whose agent issues tokens to users who may read its files
//! ([acquire a token]).
//!
//! The response to the first request is a challenge with the path of a file that only members of a
//! group can read. The file's contents authorize the second request.
//!
//! [acquire a token]: https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication

mod challenge;

use std::fmt;
use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderValue, Request, StatusCode};

use super::endpoint::{self, Endpoint, get, with_authorization};
use super::invalid::{self, InvalidSource};
use super::issued::Issued;
use super::needs::Needs;
use super::retry::Attempt;
use super::settings::Settings;
use super::token_source::{Env, Fetch, TokenSource};
use super::transport::Body;
use super::{SourceKind, UserAssigned};
use crate::{Audience, TokenError};

const KIND: SourceKind = SourceKind::Arc;
const API_VERSION: &str = "2019-11-01";

/// The agent's default endpoint.
const ENDPOINT: &str = "http://localhost:40342/metadata/identity/oauth2/token";

/// The agent of Azure Arc. A server has a system-assigned identity, and no other.
#[derive(Clone)]
pub struct AzureArc {
    endpoint: Endpoint,
    directory: PathBuf,
}

impl AzureArc {
    /// A source with the value of `IDENTITY_ENDPOINT`.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] if it is invalid, or `identity` is not `None`.
    pub fn new(endpoint: &str, identity: Option<UserAssigned>) -> Result<Self, InvalidSource> {
        invalid::check(KIND, identity.as_ref())?;
        let endpoint = Endpoint::new(KIND, "http", endpoint)?;
        Ok(Self { endpoint, directory: challenge::directory(&|name| std::env::var(name).ok()) })
    }

    /// A source with the agent's environment variable, or its default endpoint: sessions that began
    /// before the agent was installed do not have the variable.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] if the variable is invalid, or `identity` is not `None`.
    pub fn from_env(env: Env<'_>, identity: Option<UserAssigned>) -> Result<Self, InvalidSource> {
        let endpoint = endpoint::variable(KIND, env, "IDENTITY_ENDPOINT");
        let endpoint = endpoint.unwrap_or_else(|_| ENDPOINT.to_owned());
        Ok(Self { directory: challenge::directory(env), ..Self::new(&endpoint, identity)? })
    }

    /// How it talks to the endpoint.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.endpoint.set(settings);
        self
    }

    /// The directory of the agent's files, for tests. The default is `/var/opt/azcmagent/tokens`,
    /// on Windows `%ProgramData%\AzureConnectedMachineAgent\Tokens`. No file outside of it is read.
    #[must_use]
    pub fn directory(mut self, directory: impl AsRef<Path>) -> Self {
        directory.as_ref().clone_into(&mut self.directory);
        self
    }

    fn request(&self, audience: &Audience) -> Result<Request<Body>, http::Error> {
        let pairs = [("api-version", API_VERSION), ("resource", audience.as_str())];
        get(self.endpoint.query(&pairs), "metadata", HeaderValue::from_static("true"))
    }

    async fn attempt(&self, audience: &Audience) -> Attempt<Issued> {
        let response = match self.endpoint.send(self.request(audience)).await {
            Ok(response) => response,
            Err(attempt) => return attempt,
        };
        if response.status != StatusCode::UNAUTHORIZED {
            return self.endpoint.interpret(audience, None, &response);
        }
        match self.solve_challenge(&response.headers).await {
            Ok(value) => {
                let request = with_authorization(self.request(audience), value);
                self.endpoint.request(audience, None, request).await
            }
            Err(error) => Attempt::Final(error),
        }
    }

    async fn solve_challenge(&self, headers: &HeaderMap) -> Result<HeaderValue, TokenError> {
        let path = challenge::path(headers)?;
        let directory = self.directory.clone();
        let read = move || challenge::read(&directory, &path);
        tokio::task::spawn_blocking(read).await.map_err(|_| {
            let reason = "reading the challenge's file was aborted".to_owned();
            TokenError::Unavailable { reason }
        })?
    }
}

impl TokenSource for AzureArc {
    fn fetch<'a>(&'a self, audience: &'a Audience) -> Fetch<'a> {
        Box::pin(self.endpoint.token(move || self.attempt(audience)))
    }

    fn describe(&self) -> String {
        "Azure Arc, system-assigned".to_owned()
    }

    fn needs(&self) -> Needs {
        Needs::port(self.endpoint.port()).read(&self.directory)
    }
}

impl fmt::Debug for AzureArc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureArc")
            .field("endpoint", &self.endpoint.url)
            .field("directory", &self.directory)
            .finish()
    }
}
