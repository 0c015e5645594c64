//! The instance metadata service of Azure virtual machines and scale sets ([how it is asked for tokens]).
//!
//! [how it is asked for tokens]: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::Empty;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::retry::{self, Attempt, retry_after};
use super::transport::{Answer, Failure, Transport};
use super::{Fetch, Issued, Pace, Retry, TokenSource, UserAssigned, answer};
use crate::clock::{Clock, SystemClock};
use crate::{Audience, TokenError};

/// Where it answers on every Azure virtual machine.
const ENDPOINT: &str = "http://169.254.169.254";
const PATH: &str = "/metadata/identity/oauth2/token";
const API_VERSION: &str = "2018-02-01";

/// All but the unreserved characters ([RFC 3986, 2.3](https://www.rfc-editor.org/rfc/rfc3986#section-2.3)).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The instance metadata service, for one identity of the machine.
#[derive(Clone)]
pub struct Imds {
    endpoint: String,
    identity: Option<UserAssigned>,
    retry: Retry,
    pace: Pace,
    clock: Arc<dyn Clock>,
    transport: Transport,
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
        Self {
            endpoint: ENDPOINT.to_owned(),
            identity: None,
            retry: Retry::default(),
            pace: Pace::default(),
            clock: Arc::new(SystemClock::default()),
            transport: Transport::new(Duration::from_secs(5)),
        }
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
        Ok(self)
    }

    /// How long it is tried.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// How long one request may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.transport = Transport::new(timeout);
        self
    }

    /// The pace of all requests from this machine. Sources for one endpoint should share one.
    #[must_use]
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn request(&self, audience: &Audience) -> Result<Request<Empty<Bytes>>, http::Error> {
        let escape = |text| utf8_percent_encode(text, RESERVED);
        let resource = escape(audience.as_str());
        let mut url = format!("{}{PATH}?api-version={API_VERSION}&resource={resource}", self.endpoint);
        if let Some(identity) = &self.identity {
            let (name, id) = match identity {
                UserAssigned::ClientId(id) => ("client_id", id),
                UserAssigned::ObjectId(id) => ("object_id", id),
                UserAssigned::ResourceId(id) => ("msi_res_id", id),
            };
            url.push_str(&format!("&{name}={}", escape(id)));
        }
        Request::get(url).header("metadata", "true").body(Empty::new())
    }

    async fn attempt(&self, audience: &Audience) -> Attempt<Issued> {
        let request = match self.request(audience) {
            Ok(request) => request,
            Err(error) => return Attempt::Final(TokenError::Malformed { what: format!("no request: {error}") }),
        };
        let turn = self.pace.turn(&*self.clock).await;
        let answer = self.transport.send(request).await;
        drop(turn);
        match answer {
            Ok(answer) if answer.status == StatusCode::OK => match answer::parse(&answer.body, self.clock.wall()) {
                Ok(issued) => Attempt::Done(issued),
                Err(error) => Attempt::Final(error),
            },
            Ok(answer) => self.refused(audience, &answer),
            Err(Failure::Unreachable(said)) => {
                let error = TokenError::Unreachable { endpoint: self.endpoint.clone(), said };
                Attempt::Later { error, after: None, gone: false }
            }
            Err(Failure::Broken(said)) => {
                Attempt::Later { error: TokenError::Unavailable { said }, after: None, gone: false }
            }
        }
    }

    /// What a status other than 200 means ([error handling]): 404, 410, 429 and 5xx may pass, all else will not.
    ///
    /// [error handling]: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling
    fn refused(&self, audience: &Audience, answer: &Answer) -> Attempt<Issued> {
        let status = answer.status.as_u16();
        let said = Said::parse(&answer.body, status);
        let after = retry_after(&answer.headers, self.clock.wall());
        match status {
            429 => {
                let error = TokenError::Throttled { retry_after: after.unwrap_or(Duration::from_secs(1)) };
                Attempt::Later { error, after, gone: false }
            }
            404 | 410 | 500.. => {
                let error = TokenError::Unavailable { said: said.text };
                Attempt::Later { error, after, gone: status == 410 }
            }
            _ => Attempt::Final(said.into_error(status, audience)),
        }
    }
}

impl TokenSource for Imds {
    fn fetch<'a>(&'a self, audience: &'a Audience) -> Fetch<'a> {
        Box::pin(retry::run(self.retry, &*self.clock, || self.attempt(audience)))
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
#[error("{endpoint:?} is no identity endpoint: expected \"http://host:port\" and nothing behind it")]
pub struct InvalidEndpoint {
    endpoint: String,
}

/// What the endpoint said about an error, in a length that suits a message.
struct Said {
    code: String,
    text: String,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Said {
    fn parse(body: &[u8], status: u16) -> Self {
        match serde_json::from_slice::<ErrorAnswer>(body) {
            Ok(ErrorAnswer { error, error_description }) if !error.is_empty() => {
                let text = format!("status {status}, {}: {}", quotable(&error), quotable(&error_description));
                Self { code: error, text }
            }
            _ => Self { code: String::new(), text: format!("status {status}") },
        }
    }

    fn into_error(self, status: u16, audience: &Audience) -> TokenError {
        let Self { code, text: said } = self;
        let lower = said.to_ascii_lowercase();
        if code == "invalid_resource" || lower.contains("aadsts500011") {
            TokenError::ResourceUnknown { audience: audience.clone(), said }
        } else if lower.contains("multiple user assigned identities") {
            TokenError::SeveralIdentities { said }
        } else if lower.contains("identity not found") {
            TokenError::IdentityNotFound { said }
        } else {
            TokenError::Refused { status, said }
        }
    }
}

/// Text of a peer's, for a message: no control characters, no word that is long enough for a token, not endless.
fn quotable(text: &str) -> String {
    let words = text.split_whitespace().map(|word| if word.len() > 120 { "[...]" } else { word });
    words.collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()).take(300).collect()
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

    #[test]
    fn an_errors_words_are_quoted_but_never_a_word_like_a_token() {
        let token = format!("eyJ{}", "x".repeat(500));
        assert_eq!(quotable(&format!("echo\r\n {token} end\u{7}")), "echo [...] end");
    }
}
