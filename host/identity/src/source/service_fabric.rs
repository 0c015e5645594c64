//! Service Fabric ([acquire a token]).
//!
//! [acquire a token]: https://learn.microsoft.com/azure/service-fabric/how-to-managed-identity-service-fabric-app-code

use std::fmt;

use http::{HeaderValue, Request};

use super::endpoint::{self, Endpoint, get};
use super::invalid::{self, InvalidSource};
use super::needs::Needs;
use super::settings::Settings;
use super::tls::{Thumbprint, Tls};
use super::token_source::{Env, Fetch, TokenSource};
use super::transport::Body;
use super::{SourceKind, UserAssigned};
use crate::Audience;

const KIND: SourceKind = SourceKind::ServiceFabric;
const API_VERSION: &str = "2019-07-01-preview";

/// The identity endpoint of an application in Service Fabric. An application has the identity that
/// it was deployed with, and no other. The endpoint's certificate is self-signed and identified by
/// its thumbprint; nothing is sent to a server with another certificate.
#[derive(Clone)]
pub struct ServiceFabric {
    endpoint: Endpoint,
    header: HeaderValue,
    tls: Tls,
}

impl ServiceFabric {
    /// A source with the values of `IDENTITY_ENDPOINT`, `IDENTITY_HEADER` (a secret) and
    /// `IDENTITY_SERVER_THUMBPRINT`.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] if a value is invalid, or `identity` is not `None`.
    pub fn new(
        endpoint: &str,
        header: &str,
        thumbprint: &str,
        identity: Option<UserAssigned>,
    ) -> Result<Self, InvalidSource> {
        invalid::check(KIND, identity.as_ref())?;
        let header = endpoint::secret(KIND, "IDENTITY_HEADER", header)?;
        let thumbprint = Thumbprint::parse(thumbprint.trim()).ok_or(InvalidSource::Value {
            kind: KIND,
            name: "IDENTITY_SERVER_THUMBPRINT",
            expected: "40 hexadecimal digits of the certificate's SHA-1, or 64 of its SHA-256",
        })?;
        let endpoint = Endpoint::new(KIND, "https", endpoint)?;
        let source = Self { endpoint, header, tls: Tls::pinned(thumbprint) };
        Ok(source.settings(Settings::default()))
    }

    /// A source with the platform's environment variables.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] if a variable is missing or invalid, or `identity` is not `None`.
    pub fn from_env(env: Env<'_>, identity: Option<UserAssigned>) -> Result<Self, InvalidSource> {
        let endpoint = endpoint::variable(KIND, env, "IDENTITY_ENDPOINT")?;
        let header = endpoint::variable(KIND, env, "IDENTITY_HEADER")?;
        let thumbprint = endpoint::variable(KIND, env, "IDENTITY_SERVER_THUMBPRINT")?;
        Self::new(&endpoint, &header, &thumbprint, identity)
    }

    /// How it talks to the endpoint. The pinned certificate takes the place of
    /// [`Settings::tls`].
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.endpoint.set(settings.tls(self.tls.clone()));
        self
    }

    fn request(&self, audience: &Audience) -> Result<Request<Body>, http::Error> {
        let pairs = [("api-version", API_VERSION), ("resource", audience.as_str())];
        get(self.endpoint.query(&pairs), "secret", self.header.clone())
    }
}

impl TokenSource for ServiceFabric {
    fn fetch<'a>(&'a self, audience: &'a Audience) -> Fetch<'a> {
        let endpoint = &self.endpoint;
        Box::pin(endpoint.token(move || endpoint.request(audience, None, self.request(audience))))
    }

    fn describe(&self) -> String {
        "Service Fabric, the application's identity".to_owned()
    }

    fn needs(&self) -> Needs {
        Needs::port(self.endpoint.port())
    }
}

impl fmt::Debug for ServiceFabric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceFabric")
            .field("endpoint", &self.endpoint.url)
            .finish_non_exhaustive()
    }
}
