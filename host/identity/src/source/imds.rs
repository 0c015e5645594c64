//! The instance metadata service of Azure virtual machines and scale sets ([acquire a token]).
//!
//! [acquire a token]: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Uri};

use super::endpoint::{Endpoint, get};
use super::invalid::InvalidSource;
use super::needs::Needs;
use super::rate_limit::RateLimit;
use super::retry::Retry;
use super::settings::Settings;
use super::token_source::{Fetch, TokenSource};
use super::transport::Body;
use super::{SourceKind, UserAssigned};
use crate::Audience;
use crate::clock::Clock;

const KIND: SourceKind = SourceKind::Imds;

/// The origin of the service on every Azure virtual machine.
const ORIGIN: &str = "http://169.254.169.254";
const PATH: &str = "/metadata/identity/oauth2/token";
const API_VERSION: &str = "2018-02-01";

/// The instance metadata service, for one identity of the machine.
#[derive(Clone)]
pub struct Imds {
    origin: String,
    identity: Option<UserAssigned>,
    endpoint: Endpoint,
}

impl Default for Imds {
    fn default() -> Self {
        Self::new()
    }
}

impl Imds {
    /// The system-assigned identity, at the address that every virtual machine has.
    #[must_use]
    pub fn new() -> Self {
        let endpoint = Endpoint::known(KIND, format!("{ORIGIN}{PATH}"));
        Self { origin: ORIGIN.to_owned(), identity: None, endpoint }
    }

    /// A user-assigned identity.
    #[must_use]
    pub fn user_assigned(mut self, identity: UserAssigned) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Another address, `http://host:port`.
    ///
    /// # Errors
    ///
    /// [`InvalidSource::Endpoint`] if it is invalid.
    pub fn endpoint(mut self, origin: &str) -> Result<Self, InvalidSource> {
        let origin = origin.trim_end_matches('/');
        let invalid =
            || InvalidSource::endpoint(KIND, origin, "\"http://host:port\" without a path");
        let uri: Uri = origin.parse().map_err(|_| invalid())?;
        let is_origin =
            uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
        if !is_origin || uri.authority().is_none_or(|authority| authority.as_str().contains('@')) {
            return Err(invalid());
        }
        let settings = self.endpoint.settings().clone();
        origin.clone_into(&mut self.origin);
        self.endpoint = Endpoint::known(KIND, format!("{origin}{PATH}"));
        Ok(self.settings(settings))
    }

    /// How it talks to the endpoint: all of the following at once.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.endpoint.set(settings);
        self
    }

    /// How long requests are retried.
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self {
        let settings = self.endpoint.settings().clone().retry(retry);
        self.settings(settings)
    }

    /// The time limit of one request.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        let settings = self.endpoint.settings().clone().timeout(timeout);
        self.settings(settings)
    }

    /// The rate limit of the endpoint. Sources with the same endpoint should share one.
    #[must_use]
    pub fn rate_limit(self, rate_limit: RateLimit) -> Self {
        let settings = self.endpoint.settings().clone().rate_limit(rate_limit);
        self.settings(settings)
    }

    /// The clock.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        let settings = self.endpoint.settings().clone().clock(clock);
        self.settings(settings)
    }

    fn request(&self, audience: &Audience) -> Result<Request<Body>, http::Error> {
        let mut pairs = vec![("api-version", API_VERSION), ("resource", audience.as_str())];
        pairs.extend(self.identity.as_ref().map(|identity| match identity {
            UserAssigned::ClientId(id) => ("client_id", id.as_str()),
            UserAssigned::ObjectId(id) => ("object_id", id.as_str()),
            UserAssigned::ResourceId(id) => ("msi_res_id", id.as_str()),
        }));
        get(self.endpoint.query(&pairs), "metadata", HeaderValue::from_static("true"))
    }
}

impl TokenSource for Imds {
    fn fetch<'a>(&'a self, audience: &'a Audience) -> Fetch<'a> {
        let (endpoint, identity) = (&self.endpoint, self.identity.as_ref());
        Box::pin(
            endpoint.token(move || endpoint.request(audience, identity, self.request(audience))),
        )
    }

    fn describe(&self) -> String {
        let address =
            if self.origin == ORIGIN { String::new() } else { format!(" at {}", self.origin) };
        match &self.identity {
            None => format!("IMDS{address}, system-assigned"),
            Some(identity) => format!("IMDS{address}, user-assigned by {identity}"),
        }
    }

    fn needs(&self) -> Needs {
        Needs::port(self.endpoint.port())
    }
}

impl fmt::Debug for Imds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Imds")
            .field("endpoint", &self.origin)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(imds: &Imds) -> String {
        let audience = Audience::new("https://vault.azure.net").unwrap();
        imds.request(&audience).unwrap().uri().to_string()
    }

    #[test]
    fn each_identity_form_has_a_parameter() {
        let base = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01\
                    &resource=https%3A%2F%2Fvault.azure.net";
        assert_eq!(url(&Imds::new()), base);
        let resource = UserAssigned::ResourceId("/subscriptions/s/resourceGroups/g".into());
        for (identity, parameter) in [
            (UserAssigned::ClientId("c".into()), "client_id=c"),
            (UserAssigned::ObjectId("o".into()), "object_id=o"),
            (resource, "msi_res_id=%2Fsubscriptions%2Fs%2FresourceGroups%2Fg"),
        ] {
            let imds = Imds::new().user_assigned(identity);
            assert_eq!(url(&imds), format!("{base}&{parameter}"));
        }
    }

    #[test]
    fn an_identity_cannot_add_a_parameter() {
        let identity = UserAssigned::ClientId("c&resource=x#".into());
        let url = url(&Imds::new().user_assigned(identity));
        assert!(url.ends_with("&client_id=c%26resource%3Dx%23"), "{url}");
    }

    #[test]
    fn only_an_http_origin_is_a_valid_endpoint() {
        for invalid in [
            "",
            "127.0.0.1:80",
            "https://127.0.0.1",
            "http://127.0.0.1/x",
            "http://u@127.0.0.1",
            "http://h?q",
        ] {
            assert!(Imds::new().endpoint(invalid).is_err(), "{invalid}");
        }
        assert!(Imds::new().endpoint("http://127.0.0.1:8400/").is_ok());
    }

    #[test]
    fn settings_are_kept_when_the_endpoint_changes() {
        let timeout = Duration::from_secs(77);
        let imds = Imds::new().timeout(timeout).endpoint("http://127.0.0.1:8400").unwrap();
        assert_eq!(imds.endpoint.settings().request_timeout(), timeout);
    }
}
