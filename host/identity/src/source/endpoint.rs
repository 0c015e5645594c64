//! One endpoint over HTTP: asking it, and what its answer means. What every such source has in common.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderName};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::refusal::Refused;
use super::retry::{self, Attempt};
use super::transport::{Answer, Body, Failure, Transport};
use super::{Env, InvalidSource, Issued, Settings, SourceKind, UserAssigned, answer};
use crate::{Audience, TokenError};

/// All but the unreserved characters ([RFC 3986, 2.3](https://www.rfc-editor.org/rfc/rfc3986#section-2.3)).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An address, with all that is needed to ask there.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) kind: SourceKind,
    pub(super) url: String,
    settings: Settings,
    transport: Transport,
}

impl Endpoint {
    /// # Errors
    ///
    /// [`InvalidSource::Endpoint`] where it is no address of this scheme: `http`, or `https`.
    pub(super) fn new(kind: SourceKind, scheme: &'static str, url: &str) -> Result<Self, InvalidSource> {
        let expected = if scheme == "https" { "\"https://host:port/path\"" } else { "\"http://host:port/path\"" };
        let invalid = || InvalidSource::Endpoint { kind, endpoint: url.chars().take(200).collect(), expected };
        let uri: Uri = url.trim().parse().map_err(|_| invalid())?;
        let authority = uri.authority().ok_or_else(invalid)?;
        if uri.scheme_str() != Some(scheme) || authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(invalid());
        }
        Ok(Self::known(kind, url.trim().to_owned()))
    }

    /// An address that is right.
    pub(super) fn known(kind: SourceKind, url: String) -> Self {
        let settings = Settings::default();
        Self { kind, url, transport: settings.transport(), settings }
    }

    pub(super) fn set(&mut self, settings: Settings) {
        self.transport = settings.transport();
        self.settings = settings;
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The address with a query, escaped.
    pub(super) fn query(&self, pairs: &[(&str, &str)]) -> String {
        let joint = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{joint}{}", self.url, form(pairs).as_str())
    }

    /// Asks until there is a token, it is clear that there will be none, or it takes too long.
    pub(super) async fn token<F>(&self, attempt: impl Fn() -> F) -> Result<Issued, TokenError>
    where
        F: Future<Output = Attempt<Issued>>,
    {
        let Settings { retry, clock, .. } = &self.settings;
        retry::run(*retry, self.settings.request_timeout(), &**clock, attempt).await
    }

    /// One request, at the endpoint's pace, and what came of it.
    pub(super) async fn ask(
        &self,
        audience: &Audience,
        asked: Option<&UserAssigned>,
        request: Result<Request<Body>, http::Error>,
    ) -> Attempt<Issued> {
        match self.send(request).await {
            Ok(answer) => self.judge(audience, asked, &answer),
            Err(attempt) => attempt,
        }
    }

    /// One request, for an answer of whatever status.
    pub(super) async fn send<T>(&self, request: Result<Request<Body>, http::Error>) -> Result<Answer, Attempt<T>> {
        let malformed = |error| Attempt::Final(TokenError::Malformed { what: format!("no request: {error}") });
        let request = request.map_err(malformed)?;
        let turn = self.settings.pace.turn(&*self.settings.clock).await;
        let answer = self.transport.send(request).await;
        drop(turn);
        answer.map_err(|failure| {
            let (kind, endpoint) = (self.kind, self.url.clone());
            let error = match failure {
                Failure::Untrusted(said) => return Attempt::Final(TokenError::Untrusted { kind, endpoint, said }),
                Failure::Unreachable(said) => TokenError::Unreachable { kind, endpoint, said },
                Failure::Broken(said) => TokenError::Unavailable { said },
            };
            Attempt::Later { error, after: None, gone: false }
        })
    }

    pub(super) fn judge(&self, audience: &Audience, asked: Option<&UserAssigned>, got: &Answer) -> Attempt<Issued> {
        let wall = self.settings.clock.wall();
        if got.status == StatusCode::OK {
            return match answer::parse(&got.body, wall, asked) {
                Ok(issued) => Attempt::Done(Issued { endpoint_clock: date(&got.headers), ..issued }),
                Err(error) => Attempt::Final(error),
            };
        }
        let not_found_is_final = self.kind == SourceKind::ServiceFabric;
        Refused { endpoint: &self.url, audience, wall, not_found_is_final }.judge(got)
    }
}

/// What a server's clock says.
fn date(headers: &HeaderMap) -> Option<Duration> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    date.duration_since(SystemTime::UNIX_EPOCH).ok()
}

/// A `GET` with one header.
pub(super) fn get(url: String, name: &'static str, value: HeaderValue) -> Result<Request<Body>, http::Error> {
    Request::get(url).header(HeaderName::from_static(name), value).body(Full::default())
}

/// A `POST` of a form.
pub(super) fn post(url: &str, form: Zeroizing<String>) -> Result<Request<Body>, http::Error> {
    let body = Bytes::from_owner(Owned(form));
    Request::post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(Full::new(body))
}

/// Adds an `authorization` of the scheme Basic.
pub(super) fn with_authorization(
    request: Result<Request<Body>, http::Error>,
    value: HeaderValue,
) -> Result<Request<Body>, http::Error> {
    request.map(|mut request| {
        request.headers_mut().insert(AUTHORIZATION, value);
        request
    })
}

/// `a=b&c=d`, escaped.
pub(super) fn form(pairs: &[(&str, &str)]) -> Zeroizing<String> {
    let mut form = Zeroizing::new(String::with_capacity(16 * 1024));
    for (name, value) in pairs {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        form.extend(utf8_percent_encode(value, RESERVED));
    }
    form
}

/// A secret as the value of a header.
pub(super) fn secret(kind: SourceKind, name: &'static str, text: &str) -> Result<HeaderValue, InvalidSource> {
    let invalid = InvalidSource::Value { kind, name, expected: "visible characters only" };
    let mut value = HeaderValue::from_str(text).map_err(|_| invalid)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The value of an environment variable that has to be there.
pub(super) fn variable(kind: SourceKind, env: Env<'_>, variable: &'static str) -> Result<String, InvalidSource> {
    env(variable).filter(|value| !value.trim().is_empty()).ok_or(InvalidSource::MissingVariable { kind, variable })
}

/// Text that zeroes itself, as the owner of a body.
struct Owned(Zeroizing<String>);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_with_its_path_and_query() {
        let endpoint = |url: &str| Endpoint::new(SourceKind::AppService, "http", url);
        let query = |url: &str| endpoint(url).unwrap().query(&[("a", "b c&d"), ("e", "/")]);
        assert_eq!(query("http://localhost:42356/msi/token"), "http://localhost:42356/msi/token?a=b%20c%26d&e=%2F");
        assert_eq!(query("http://127.0.0.1:1/msi/token?x=y"), "http://127.0.0.1:1/msi/token?x=y&a=b%20c%26d&e=%2F");
        assert_eq!(query("http://[::1]:1/msi"), "http://[::1]:1/msi?a=b%20c%26d&e=%2F");
        for bad in ["", "/msi", "localhost:1/msi", "https://localhost/msi", "http://u@localhost/msi", "ftp://a/b"] {
            assert!(matches!(endpoint(bad).err(), Some(InvalidSource::Endpoint { .. })), "{bad}");
        }
    }
}
