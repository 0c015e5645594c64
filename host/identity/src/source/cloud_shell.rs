//! Azure Cloud Shell ([acquire a token]), and the virtual machine extension that preceded IMDS.
//!
//! [acquire a token]: https://learn.microsoft.com/azure/cloud-shell/msi-authorization

use std::fmt;

use http::{HeaderValue, Request};

use super::endpoint::{self, Endpoint, form, post};
use super::invalid::{self, InvalidSource};
use super::needs::Needs;
use super::settings::Settings;
use super::token_source::{Env, Fetch, TokenSource};
use super::transport::Body;
use super::{SourceKind, UserAssigned};
use crate::Audience;

const KIND: SourceKind = SourceKind::CloudShell;

/// The endpoint of the virtual machine extension.
const EXTENSION: &str = "http://localhost:50342/oauth2/token";

/// The identity endpoint of Cloud Shell. Its tokens are for the signed-in user.
#[derive(Clone)]
pub struct CloudShell {
    endpoint: Endpoint,
}

impl CloudShell {
    /// A source with the value of `MSI_ENDPOINT`.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] if it is invalid, or `identity` is not `None`.
    pub fn new(endpoint: &str, identity: Option<UserAssigned>) -> Result<Self, InvalidSource> {
        invalid::check(KIND, identity.as_ref())?;
        Ok(Self { endpoint: Endpoint::new(KIND, "http", endpoint)? })
    }

    /// A source with the platform's environment variable.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] if it is missing or invalid, or `identity` is not `None`.
    pub fn from_env(env: Env<'_>, identity: Option<UserAssigned>) -> Result<Self, InvalidSource> {
        Self::new(&endpoint::variable(KIND, env, "MSI_ENDPOINT")?, identity)
    }

    /// The virtual machine extension, at port 50342 of this machine. It sets no variable.
    #[must_use]
    pub fn vm_extension() -> Self {
        Self { endpoint: Endpoint::known(KIND, EXTENSION.to_owned()) }
    }

    /// How it talks to the endpoint.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.endpoint.set(settings);
        self
    }

    fn request(&self, audience: &Audience) -> Result<Request<Body>, http::Error> {
        let mut request = post(&self.endpoint.url, form(&[("resource", audience.as_str())]))?;
        request.headers_mut().insert("metadata", HeaderValue::from_static("true"));
        Ok(request)
    }
}

impl TokenSource for CloudShell {
    fn fetch<'a>(&'a self, audience: &'a Audience) -> Fetch<'a> {
        let endpoint = &self.endpoint;
        Box::pin(endpoint.token(move || endpoint.request(audience, None, self.request(audience))))
    }

    fn describe(&self) -> String {
        let is_extension = self.endpoint.url == EXTENSION;
        let description = if is_extension {
            "the extension at port 50342"
        } else {
            "Cloud Shell, signed-in user"
        };
        description.to_owned()
    }

    fn needs(&self) -> Needs {
        Needs::port(self.endpoint.port())
    }
}

impl fmt::Debug for CloudShell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudShell").field("endpoint", &self.endpoint.url).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_listens_at_port_50342() {
        let source = CloudShell::vm_extension();
        let audience = Audience::new("https://vault.azure.net").unwrap();
        let request = source.request(&audience).unwrap();
        assert_eq!(request.uri(), "http://localhost:50342/oauth2/token");
        assert_eq!(request.method(), http::Method::POST);
        assert_eq!(source.describe(), "the extension at port 50342");
    }
}
