//! The instance metadata service of Azure virtual machines and scale sets ([how it is asked for tokens]).
//!
//! [how it is asked for tokens]: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Uri};

use super::endpoint::{Endpoint, get};
use super::transport::Body;
use super::{Fetch, Pace, Retry, Settings, SourceKind, TokenSource, UserAssigned};
use crate::Audience;
use crate::clock::Clock;

/// Where it answers on every Azure virtual machine.
const ENDPOINT: &str = "http://169.254.169.254";
const PATH: &str = "/metadata/identity/oauth2/token";
const API_VERSION: &str = "2018-02-01";

/// The instance metadata service, for one identity of the machine.
#[derive(Clone)]
pub struct Imds {
    /// The origin.
    endpoint: String,
    identity: Option<UserAssigned>,
    settings: Settings,
    asked: Endpoint,
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
        let asked = Endpoint::known(SourceKind::Imds, format!("{ENDPOINT}{PATH}"));
        Self { endpoint: ENDPOINT.to_owned(), identity: None, settings: asked.settings().clone(), asked }
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
    /// [`InvalidEndpoint`] where it is none.
    pub fn endpoint(mut self, endpoint: &str) -> Result<Self, InvalidEndpoint> {
        let endpoint = endpoint.trim_end_matches('/');
        let invalid = || InvalidEndpoint { endpoint: endpoint.chars().take(200).collect() };
        let uri: Uri = endpoint.parse().map_err(|_| invalid())?;
        let is_origin = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
        if !is_origin || uri.authority().is_none_or(|authority| authority.as_str().contains('@')) {
            return Err(invalid());
        }
        endpoint.clone_into(&mut self.endpoint);
        self.asked = Endpoint::known(SourceKind::Imds, format!("{endpoint}{PATH}"));
        let settings = self.settings.clone();
        Ok(self.settings(settings))
    }

    /// How it is asked: all of the following at once.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.asked.set(settings.clone());
        self.settings = settings;
        self
    }

    /// How long it is tried.
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self {
        let settings = self.settings.clone().retry(retry);
        self.settings(settings)
    }

    /// How long one request may take.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        let settings = self.settings.clone().timeout(timeout);
        self.settings(settings)
    }

    /// The pace of all requests from this machine. Sources for one endpoint should share one.
    #[must_use]
    pub fn pace(self, pace: Pace) -> Self {
        let settings = self.settings.clone().pace(pace);
        self.settings(settings)
    }

    /// Another clock.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        let settings = self.settings.clone().clock(clock);
        self.settings(settings)
    }

    fn request(&self, audience: &Audience) -> Result<Request<Body>, http::Error> {
        let mut pairs = vec![("api-version", API_VERSION), ("resource", audience.as_str())];
        pairs.extend(self.identity.as_ref().map(|identity| match identity {
            UserAssigned::ClientId(id) => ("client_id", id.as_str()),
            UserAssigned::ObjectId(id) => ("object_id", id.as_str()),
            UserAssigned::ResourceId(id) => ("msi_res_id", id.as_str()),
        }));
        get(self.asked.query(&pairs), "metadata", HeaderValue::from_static("true"))
    }
}

impl TokenSource for Imds {
    fn fetch<'a>(&'a self, audience: &'a Audience) -> Fetch<'a> {
        let asked = self.identity.as_ref();
        Box::pin(self.asked.token(move || self.asked.ask(audience, asked, self.request(audience))))
    }

    fn describe(&self) -> String {
        let place = if self.endpoint == ENDPOINT { String::new() } else { format!(" at {}", self.endpoint) };
        match &self.identity {
            None => format!("IMDS{place}, system-assigned"),
            Some(identity) => format!("IMDS{place}, user-assigned by {identity}"),
        }
    }
}

impl fmt::Debug for Imds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Imds")
            .field("endpoint", &self.endpoint)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// An address that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{endpoint:?} is not an identity endpoint: expected \"http://host:port\" and nothing behind it")]
pub struct InvalidEndpoint {
    endpoint: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(imds: &Imds) -> String {
        imds.request(&Audience::new("https://vault.azure.net").unwrap()).unwrap().uri().to_string()
    }

    #[test]
    fn each_identity_form_has_its_parameter() {
        let base = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01\
                    &resource=https%3A%2F%2Fvault.azure.net";
        let with = |identity| url(&Imds::new().user_assigned(identity));
        assert_eq!(url(&Imds::new()), base);
        assert_eq!(with(UserAssigned::ClientId("c".into())), format!("{base}&client_id=c"));
        assert_eq!(with(UserAssigned::ObjectId("o".into())), format!("{base}&object_id=o"));
        let resource = UserAssigned::ResourceId("/subscriptions/s/resourceGroups/g".into());
        assert_eq!(with(resource), format!("{base}&msi_res_id=%2Fsubscriptions%2Fs%2FresourceGroups%2Fg"));
    }

    #[test]
    fn an_identity_cannot_add_a_parameter() {
        let url = url(&Imds::new().user_assigned(UserAssigned::ClientId("c&resource=x#".into())));
        assert!(url.ends_with("&client_id=c%26resource%3Dx%23"), "{url}");
    }

    #[test]
    fn only_an_http_origin_is_an_endpoint() {
        for bad in ["", "127.0.0.1:80", "https://127.0.0.1", "http://127.0.0.1/x", "http://u@127.0.0.1", "http://h?q"] {
            assert!(Imds::new().endpoint(bad).is_err(), "{bad}");
        }
        assert!(Imds::new().endpoint("http://127.0.0.1:8400/").is_ok());
    }
}
