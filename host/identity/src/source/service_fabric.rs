//! Service Fabric ([how it is asked for tokens]).
//!
//! [how it is asked for tokens]: https://learn.microsoft.com/azure/service-fabric/how-to-managed-identity-service-fabric-app-code

use std::fmt;

use http::{HeaderValue, Request};

use super::endpoint::{self, Endpoint, get};
use super::tls::Thumbprint;
use super::transport::Body;
use super::{Env, Fetch, InvalidSource, Settings, SourceKind, Tls, TokenSource, UserAssigned, invalid};
use crate::Audience;

const KIND: SourceKind = SourceKind::ServiceFabric;
const API_VERSION: &str = "2019-07-01-preview";

/// The identity endpoint of an application in Service Fabric. The application has the identity that it was deployed with,
/// and cannot ask for another one. The endpoint's certificate is signed by itself: it is known by its thumbprint, and
/// nothing is sent to one that has another.
#[derive(Clone)]
pub struct ServiceFabric {
    endpoint: Endpoint,
    header: HeaderValue,
    tls: Tls,
}

impl ServiceFabric {
    /// The address in `IDENTITY_ENDPOINT`, the secret in `IDENTITY_HEADER`, the certificate's thumbprint in
    /// `IDENTITY_SERVER_THUMBPRINT`.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] where they cannot be used, or an identity is named.
    pub fn new(
        endpoint: &str,
        header: &str,
        thumbprint: &str,
        identity: Option<UserAssigned>,
    ) -> Result<Self, InvalidSource> {
        invalid::check(KIND, identity.as_ref())?;
        let header = endpoint::secret(KIND, "IDENTITY_HEADER", header)?;
        let expected = "the 40 hexadecimal digits of a certificate's SHA-1, or the 64 of its SHA-256";
        let no_thumbprint = InvalidSource::Value { kind: KIND, name: "IDENTITY_SERVER_THUMBPRINT", expected };
        let tls = Tls::pinned(Thumbprint::parse(thumbprint.trim()).ok_or(no_thumbprint)?);
        let source = Self { endpoint: Endpoint::new(KIND, "https", endpoint)?, header, tls };
        Ok(source.settings(Settings::default()))
    }

    /// The same, from the variables that the platform sets.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] where they are not there, or cannot be used, or an identity is named.
    pub fn from_env(env: Env<'_>, identity: Option<UserAssigned>) -> Result<Self, InvalidSource> {
        let endpoint = endpoint::variable(KIND, env, "IDENTITY_ENDPOINT")?;
        let header = endpoint::variable(KIND, env, "IDENTITY_HEADER")?;
        Self::new(&endpoint, &header, &endpoint::variable(KIND, env, "IDENTITY_SERVER_THUMBPRINT")?, identity)
    }

    /// How it is asked; whom to trust stays as it is.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.endpoint.set(settings.tls(self.tls.clone()));
        self
    }

    fn request(&self, audience: &Audience) -> Result<Request<Body>, http::Error> {
        let url = self.endpoint.query(&[("api-version", API_VERSION), ("resource", audience.as_str())]);
        get(url, "secret", self.header.clone())
    }
}

impl TokenSource for ServiceFabric {
    fn fetch<'a>(&'a self, audience: &'a Audience) -> Fetch<'a> {
        Box::pin(self.endpoint.token(move || self.endpoint.ask(audience, None, self.request(audience))))
    }

    fn describe(&self) -> String {
        "Service Fabric, the application's identity".to_owned()
    }
}

impl fmt::Debug for ServiceFabric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceFabric").field("endpoint", &self.endpoint.url).finish_non_exhaustive()
    }
}
