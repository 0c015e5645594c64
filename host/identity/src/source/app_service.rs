//! App Service, Functions and Container Apps ([REST endpoint reference]).
//!
//! [REST endpoint reference]: https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference

use std::fmt;

use http::{HeaderValue, Request};

use super::endpoint::{self, Endpoint, get};
use super::invalid::InvalidSource;
use super::needs::Needs;
use super::settings::Settings;
use super::token_source::{Env, Fetch, TokenSource};
use super::transport::Body;
use super::{SourceKind, UserAssigned};
use crate::Audience;

const KIND: SourceKind = SourceKind::AppService;
const API_VERSION: &str = "2019-08-01";

/// The identity endpoint of an app in App Service, Functions or Container Apps, for one of the
/// app's identities.
#[derive(Clone)]
pub struct AppService {
    endpoint: Endpoint,
    header: HeaderValue,
    identity: Option<UserAssigned>,
}

impl AppService {
    /// A source with the values of `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`. The latter is a
    /// secret: requests that somebody else made the app send do not have it.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] if a value is invalid.
    pub fn new(
        endpoint: &str,
        header: &str,
        identity: Option<UserAssigned>,
    ) -> Result<Self, InvalidSource> {
        let header = endpoint::secret(KIND, "IDENTITY_HEADER", header)?;
        Ok(Self { endpoint: Endpoint::new(KIND, "http", endpoint)?, header, identity })
    }

    /// A source with the platform's environment variables.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] if a variable is missing or invalid.
    pub fn from_env(env: Env<'_>, identity: Option<UserAssigned>) -> Result<Self, InvalidSource> {
        let endpoint = endpoint::variable(KIND, env, "IDENTITY_ENDPOINT")?;
        Self::new(&endpoint, &endpoint::variable(KIND, env, "IDENTITY_HEADER")?, identity)
    }

    /// How it talks to the endpoint.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.endpoint.set(settings);
        self
    }

    fn request(&self, audience: &Audience) -> Result<Request<Body>, http::Error> {
        let mut pairs = vec![("api-version", API_VERSION), ("resource", audience.as_str())];
        pairs.extend(self.identity.as_ref().map(|identity| match identity {
            UserAssigned::ClientId(id) => ("client_id", id.as_str()),
            UserAssigned::ObjectId(id) => ("principal_id", id.as_str()),
            UserAssigned::ResourceId(id) => ("mi_res_id", id.as_str()),
        }));
        get(self.endpoint.query(&pairs), "x-identity-header", self.header.clone())
    }
}

impl TokenSource for AppService {
    fn fetch<'a>(&'a self, audience: &'a Audience) -> Fetch<'a> {
        let (endpoint, identity) = (&self.endpoint, self.identity.as_ref());
        Box::pin(
            endpoint.token(move || endpoint.request(audience, identity, self.request(audience))),
        )
    }

    fn describe(&self) -> String {
        match &self.identity {
            None => "App Service, system-assigned".to_owned(),
            Some(identity) => format!("App Service, user-assigned by {identity}"),
        }
    }

    fn needs(&self) -> Needs {
        Needs::port(self.endpoint.port())
    }
}

impl fmt::Debug for AppService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppService")
            .field("endpoint", &self.endpoint.url)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
