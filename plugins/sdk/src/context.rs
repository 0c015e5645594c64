//! What the mount gives the plugin: its endpoints, its settings, its tokens.

use crate::{Outgoing, Problem, Response, SendError, platform};

/// The mount that a call came through.
#[derive(Debug)]
pub struct Context {
    pub(crate) mount: platform::Mount,
}

/// The one origin, and the path prefix, that the mount talks to for an audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host, and port where there is one.
    pub authority: String,
    /// What all paths begin with; empty, or a slash and more, without a slash at its end.
    pub prefix: String,
}

/// The stand-in for an access token.
#[derive(Clone, Debug)]
pub struct Token {
    /// The surrogate: what to send where a token belongs.
    pub bearer: String,
    /// When the token behind it stops being valid, in seconds since 1970-01-01T00:00:00Z.
    pub expires_on: u64,
}

impl Endpoint {
    /// Reads an endpoint as the host writes it: `https://host[:port][/prefix]`.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("https://")?;
        let (authority, prefix) =
            rest.split_once('/').map_or((rest, ""), |(authority, _)| rest.split_at(authority.len()));
        (!authority.is_empty())
            .then(|| Self { authority: authority.to_owned(), prefix: prefix.trim_end_matches('/').to_owned() })
    }

    /// The endpoint as a URL, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}{}", self.authority, self.prefix)
    }
}

impl Context {
    /// Where the mount sends what is for `audience`, the audience's name in the manifest.
    ///
    /// # Errors
    ///
    /// A problem for the caller where the configuration does not grant the audience to this mount.
    pub fn endpoint(&self, audience: &str) -> Result<Endpoint, Problem> {
        let url = self.mount.config(&format!("endpoint.{audience}")).ok_or_else(|| not_granted(audience, None))?;
        Endpoint::parse(&url)
            .ok_or_else(|| Problem::internal(format!("the endpoint {url:?} of audience {audience:?} is no https URL")))
    }

    /// Where the caller reaches this mount: `http://localhost/vault`, without a slash at its end. A link that begins with
    /// it leads back through the broker.
    #[must_use]
    pub fn mount_url(&self) -> String {
        let [proto, host, prefix] = ["proto", "host", "prefix"].map(|name| self.mount.forwarded(name));
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
        platform::now()
    }

    /// A surrogate for a token for `audience`, the audience's name in the manifest.
    ///
    /// # Errors
    ///
    /// A problem for the caller: the audience is not declared (500) or not granted (403), or the identity could not get
    /// a token (503, with `retry-after` where the identity endpoint asked for patience).
    pub fn token(&self, audience: &str) -> Result<Token, Problem> {
        self.mount.token(audience)
    }

    /// Encrypts a state that the caller gives back in a later call, such as where a redirect leads. The caller can neither
    /// read nor change it. The result consists of letters, digits, `-` and `_`.
    ///
    /// # Errors
    ///
    /// A problem (500) where the state is longer than 16 KiB.
    pub fn seal(&self, state: &str) -> Result<String, Problem> {
        self.mount.seal(state).ok_or_else(|| Problem::internal("the host did not seal a state for the caller"))
    }

    /// A state that [`seal`](Self::seal) made; `None` where it was not made by this mount for this caller, was changed, or
    /// is older than ten minutes.
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

pub(crate) fn not_declared(audience: &str) -> Problem {
    Problem::internal(format!("the plugin asked for audience {audience:?}, which its manifest does not declare"))
}

pub(crate) fn not_granted(audience: &str, why: Option<String>) -> Problem {
    let why = why.unwrap_or_else(|| format!("the configuration of this mount does not grant audience {audience:?}"));
    Problem::new(403, "not-granted", "The audience is not granted", why)
}

#[cfg(target_family = "wasm")]
pub(crate) fn unavailable(why: String) -> Problem {
    Problem::new(503, "token-unavailable", "No token is available", why)
}

#[cfg(target_family = "wasm")]
pub(crate) fn throttled(seconds: u32) -> Problem {
    let detail = format!("the identity endpoint asks to wait {seconds} s before the next request");
    Problem::new(503, "token-throttled", "The identity endpoint is busy", detail).with_retry_after(seconds)
}
