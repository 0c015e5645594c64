//! Azure Cloud Shell ([how it is asked for tokens]), and the virtual machines' extension that came before IMDS.
//!
//! [how it is asked for tokens]: https://learn.microsoft.com/azure/cloud-shell/msi-authorization

use std::fmt;

use http::{HeaderValue, Request};

use super::endpoint::{self, Endpoint, form, post};
use super::transport::Body;
use super::{Env, Fetch, InvalidSource, Settings, SourceKind, TokenSource, UserAssigned, invalid};
use crate::Audience;

const KIND: SourceKind = SourceKind::CloudShell;

/// Where the extension listens on every machine that has it.
const PORT_50342: &str = "http://localhost:50342/oauth2/token";

/// The identity endpoint of Cloud Shell. Its tokens are those of the person who is signed in.
#[derive(Clone)]
pub struct CloudShell {
    endpoint: Endpoint,
}

impl CloudShell {
    /// The address in `MSI_ENDPOINT`.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] where it cannot be used, or an identity is named.
    pub fn new(endpoint: &str, identity: Option<UserAssigned>) -> Result<Self, InvalidSource> {
        invalid::check(KIND, identity.as_ref())?;
        Ok(Self { endpoint: Endpoint::new(KIND, "http", endpoint)? })
    }

    /// The same, from the variable that the platform sets.
    ///
    /// # Errors
    ///
    /// [`InvalidSource`] where it is not there, or cannot be used, or an identity is named.
    pub fn from_env(env: Env<'_>, identity: Option<UserAssigned>) -> Result<Self, InvalidSource> {
        Self::new(&endpoint::variable(KIND, env, "MSI_ENDPOINT")?, identity)
    }

    /// The extension for virtual machines, at port 50342 of this machine, which sets no variable.
    #[must_use]
    pub fn vm_extension() -> Self {
        Self { endpoint: Endpoint::known(KIND, PORT_50342.to_owned()) }
    }

    /// How it is asked.
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
        Box::pin(self.endpoint.token(move || self.endpoint.ask(audience, None, self.request(audience))))
    }

    fn describe(&self) -> String {
        let extension = self.endpoint.url == PORT_50342;
        if extension { "the extension at port 50342" } else { "Cloud Shell, the signed-in person" }.to_owned()
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
    fn the_extension_is_at_its_port() {
        let source = CloudShell::vm_extension();
        let request = source.request(&Audience::new("https://vault.azure.net").unwrap()).unwrap();
        assert_eq!(request.uri(), "http://localhost:50342/oauth2/token");
        assert_eq!(request.method(), http::Method::POST);
        assert_eq!(source.describe(), "the extension at port 50342");
    }
}
