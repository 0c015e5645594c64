//! The mount's endpoints, settings and tokens.

use crate::endpoint::Endpoint;
use crate::host;
use crate::outgoing::{Outgoing, SendError};
use crate::platform;
use crate::problem::Problem;
use crate::response::Response;
use crate::token::Token;

/// The mount that a call was received on.
#[derive(Debug)]
pub struct Context {
    pub(crate) mount: platform::Mount,
}

impl Context {
    /// The mount's endpoint for `audience`, the audience's name in the manifest.
    ///
    /// # Errors
    ///
    /// A problem for the caller if the configuration does not grant the audience to this mount.
    pub fn endpoint(&self, audience: &str) -> Result<Endpoint, Problem> {
        let url = self
            .mount
            .config(&format!("endpoint.{audience}"))
            .ok_or_else(|| Problem::not_granted(audience, None))?;
        Endpoint::parse(&url).ok_or_else(|| {
            Problem::internal(format!(
                "the endpoint {url:?} of audience {audience:?} is not an https URL"
            ))
        })
    }

    /// The URL at which the caller reaches this mount, without a trailing slash:
    /// `http://localhost/vault`. A link that begins with it leads back through the broker.
    #[must_use]
    pub fn mount_url(&self) -> String {
        let [proto, host, prefix] =
            ["proto", "host", "prefix"].map(|name| self.mount.forwarded(name));
        format!("{proto}://{host}{prefix}")
    }

    /// The value of a setting: that of the configuration, or else the manifest's default.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<String> {
        self.mount.config(&format!("setting.{name}"))
    }

    /// The current time, in seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now(&self) -> u64 {
        host::now()
    }

    /// Returns a surrogate for a token for `audience`, the audience's name in the manifest.
    ///
    /// # Errors
    ///
    /// A problem for the caller: the audience is not declared (500) or not granted (403), or the
    /// identity could not obtain a token (503, with `retry-after` if the identity endpoint is
    /// throttling).
    pub fn token(&self, audience: &str) -> Result<Token, Problem> {
        self.mount.token(audience)
    }

    /// Encrypts a state that the caller returns in a later call, such as the target of a redirect.
    /// The caller can neither read nor change it. The result contains only letters, digits, `-` and
    /// `_`.
    ///
    /// # Errors
    ///
    /// A problem (500) if the state is longer than 16 KiB or cannot be encrypted.
    pub fn seal(&self, state: &str) -> Result<String, Problem> {
        self.mount
            .seal(state)
            .ok_or_else(|| Problem::internal("the host could not seal a state for the caller"))
    }

    /// Decrypts a state of [`seal`](Self::seal). Returns `None` if it was not sealed by this mount
    /// for this caller, was changed, or is older than ten minutes.
    #[must_use]
    pub fn open(&self, sealed: &str) -> Option<String> {
        self.mount.open(sealed)
    }

    /// Sends a request and waits for the head of the response. The body is streamed as it is read.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the host denies the request, or the service cannot be reached.
    pub fn send(&self, outgoing: Outgoing) -> Result<Response, SendError> {
        self.mount.send(outgoing)
    }
}
