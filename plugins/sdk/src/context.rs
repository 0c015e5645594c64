//! What the mount gives the plugin: its endpoints, its settings, its tokens.

use crate::endpoint::Endpoint;
use crate::host;
use crate::outgoing::{Outgoing, SendError};
use crate::platform;
use crate::problem::Problem;
use crate::response::Response;
use crate::token::Token;

/// The mount that a call came through.
#[derive(Debug)]
pub struct Context {
    pub(crate) mount: platform::Mount,
}

impl Context {
    /// Where the mount sends what is for `audience`, the audience's name in the manifest.
    ///
    /// # Errors
    ///
    /// A problem for the caller where the configuration does not grant the audience to this mount.
    pub fn endpoint(&self, audience: &str) -> Result<Endpoint, Problem> {
        let url = self
            .mount
            .config(&format!("endpoint.{audience}"))
            .ok_or_else(|| Problem::not_granted(audience, None))?;
        Endpoint::parse(&url).ok_or_else(|| {
            Problem::internal(format!(
                "the endpoint {url:?} of audience {audience:?} is no https URL"
            ))
        })
    }

    /// Where the caller reaches this mount: `http://localhost/vault`, without a slash at its end. A
    /// link that begins with it leads back through the broker.
    #[must_use]
    pub fn mount_url(&self) -> String {
        let [proto, host, prefix] =
            ["proto", "host", "prefix"].map(|name| self.mount.forwarded(name));
        format!("{proto}://{host}{prefix}")
    }

    /// The value of a setting, from the configuration or the manifest's default.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<String> {
        self.mount.config(&format!("setting.{name}"))
    }

    /// The time, in seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now(&self) -> u64 {
        host::now()
    }

    /// A surrogate for a token for `audience`, the audience's name in the manifest.
    ///
    /// # Errors
    ///
    /// A problem for the caller: the audience is not declared (500) or not granted (403), or the
    /// identity could not get a token (503, with `retry-after` where the identity endpoint asked
    /// for patience).
    pub fn token(&self, audience: &str) -> Result<Token, Problem> {
        self.mount.token(audience)
    }

    /// Encrypts a state that the caller gives back in a later call, such as where a redirect leads.
    /// The caller can neither read nor change it. The result consists of letters, digits, `-` and
    /// `_`.
    ///
    /// # Errors
    ///
    /// A problem (500) where the state is longer than 16 KiB.
    pub fn seal(&self, state: &str) -> Result<String, Problem> {
        self.mount
            .seal(state)
            .ok_or_else(|| Problem::internal("the host did not seal a state for the caller"))
    }

    /// A state that [`seal`](Self::seal) made; `None` where it was not made by this mount for this
    /// caller, was changed, or is older than ten minutes.
    #[must_use]
    pub fn open(&self, sealed: &str) -> Option<String> {
        self.mount.open(sealed)
    }

    /// Sends a request and waits for the head of its answer. The body comes as it is read.
    ///
    /// # Errors
    ///
    /// [`SendError`] where the host does not let it out, or the service cannot be reached.
    pub fn send(&self, outgoing: Outgoing) -> Result<Response, SendError> {
        self.mount.send(outgoing)
    }
}
