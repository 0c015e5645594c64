//! A token endpoint over HTTP: requests, and how responses are interpreted. All sources but the
//! Azure CLI are built on it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderName};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::error_response::ErrorResponses;
use super::invalid::InvalidSource;
use super::issued::Issued;
use super::response;
use super::retry::{self, Attempt};
use super::settings::Settings;
use super::token_source::Env;
use super::transport::{Body, Failure, Response, Transport};
use super::{SourceKind, UserAssigned};
use crate::{Audience, TokenError};

/// All characters that are not unreserved
/// ([RFC 3986, 2.3](https://www.rfc-editor.org/rfc/rfc3986#section-2.3)).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A token endpoint, and how to send requests to it.
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
    /// [`InvalidSource::Endpoint`] if it is not a URL of this scheme: `http`, or `https`.
    pub(super) fn new(
        kind: SourceKind,
        scheme: &'static str,
        url: &str,
    ) -> Result<Self, InvalidSource> {
        let is_https = scheme == "https";
        let expected =
            if is_https { "\"https://host:port/path\"" } else { "\"http://host:port/path\"" };
        let invalid = || InvalidSource::endpoint(kind, url, expected);
        let uri: Uri = url.trim().parse().map_err(|_| invalid())?;
        let authority = uri.authority().ok_or_else(invalid)?;
        let has_user = authority.as_str().contains('@');
        if uri.scheme_str() != Some(scheme) || has_user || authority.host().is_empty() {
            return Err(invalid());
        }
        Ok(Self::known(kind, url.trim().to_owned()))
    }

    /// An endpoint at a URL that is valid.
    pub(super) fn known(kind: SourceKind, url: String) -> Self {
        let settings = Settings::default();
        Self { kind, url, transport: settings.transport(), settings }
    }

    pub(super) fn set(&mut self, settings: Settings) {
        self.transport = settings.transport();
        self.settings = settings;
    }

    /// The port of its URL.
    pub(super) fn port(&self) -> Option<u16> {
        let uri: Uri = self.url.parse().ok()?;
        let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        Some(uri.port_u16().unwrap_or(default))
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The URL with further query parameters, which are escaped.
    pub(super) fn query(&self, pairs: &[(&str, &str)]) -> String {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{separator}{}", self.url, form(pairs).as_str())
    }

    /// Retries attempts until there is a token, a permanent failure, or no time left.
    pub(super) async fn token<F>(&self, attempt: impl Fn() -> F) -> Result<Issued, TokenError>
    where
        F: Future<Output = Attempt<Issued>>,
    {
        let Settings { retry, clock, .. } = &self.settings;
        retry::run(*retry, self.settings.request_timeout(), &**clock, attempt).await
    }

    /// Sends a request and interprets the response.
    pub(super) async fn request(
        &self,
        audience: &Audience,
        requested: Option<&UserAssigned>,
        request: Result<Request<Body>, http::Error>,
    ) -> Attempt<Issued> {
        match self.send(request).await {
            Ok(response) => self.interpret(audience, requested, &response),
            Err(attempt) => attempt,
        }
    }

    /// Sends a request within the endpoint's rate limit. Returns a response of any status.
    pub(super) async fn send<T>(
        &self,
        request: Result<Request<Body>, http::Error>,
    ) -> Result<Response, Attempt<T>> {
        let request = request.map_err(|error| {
            Attempt::Final(TokenError::Malformed { reason: format!("no request: {error}") })
        })?;
        let permit = self.settings.rate_limit.acquire(&*self.settings.clock).await;
        let response = self.transport.send(request).await;
        drop(permit);
        response.map_err(|failure| {
            let (kind, endpoint) = (self.kind, self.url.clone());
            let error = match failure {
                Failure::Untrusted(reason) => {
                    return Attempt::Final(TokenError::Untrusted { kind, endpoint, reason });
                }
                Failure::Unreachable(reason) => TokenError::Unreachable { kind, endpoint, reason },
                Failure::Broken(reason) => TokenError::Unavailable { reason },
            };
            Attempt::Retry { error, after: None, gone: false }
        })
    }

    pub(super) fn interpret(
        &self,
        audience: &Audience,
        requested: Option<&UserAssigned>,
        response: &Response,
    ) -> Attempt<Issued> {
        let wall = self.settings.clock.wall();
        if response.status != StatusCode::OK {
            let not_found_is_final = self.kind == SourceKind::ServiceFabric;
            let errors = ErrorResponses { endpoint: &self.url, audience, wall, not_found_is_final };
            return errors.interpret(response);
        }
        match response::parse(&response.body, wall, requested) {
            Ok(issued) => {
                Attempt::Done(Issued { endpoint_clock: date(&response.headers), ..issued })
            }
            Err(error) => Attempt::Final(error),
        }
    }
}

/// The time in a `Date` header field, since 1970-01-01T00:00:00Z.
fn date(headers: &HeaderMap) -> Option<Duration> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    date.duration_since(SystemTime::UNIX_EPOCH).ok()
}

/// A `GET` with one header field.
pub(super) fn get(
    url: String,
    name: &'static str,
    value: HeaderValue,
) -> Result<Request<Body>, http::Error> {
    Request::get(url).header(HeaderName::from_static(name), value).body(Full::default())
}

/// A `POST` of a form.
pub(super) fn post(url: &str, form: Zeroizing<String>) -> Result<Request<Body>, http::Error> {
    let body = Bytes::from_owner(ZeroizingBytes(form));
    Request::post(url)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::new(body))
}

/// Adds an `authorization` header field.
pub(super) fn with_authorization(
    request: Result<Request<Body>, http::Error>,
    value: HeaderValue,
) -> Result<Request<Body>, http::Error> {
    let mut request = request?;
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(request)
}

/// Encodes pairs as `a=b&c=d`.
pub(super) fn form(pairs: &[(&str, &str)]) -> Zeroizing<String> {
    // The capacity suffices, so the buffer is never moved: that would leave a copy behind.
    let encoded = |(name, value): &(&str, &str)| name.len() + 3 * value.len() + 2;
    let mut form = Zeroizing::new(String::with_capacity(pairs.iter().map(encoded).sum()));
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

/// A secret as the value of a header field.
pub(super) fn secret(
    kind: SourceKind,
    name: &'static str,
    value: &str,
) -> Result<HeaderValue, InvalidSource> {
    let invalid = InvalidSource::Value { kind, name, expected: "visible characters only" };
    let mut value = HeaderValue::from_str(value).map_err(|_| invalid)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The value of an environment variable that must be set.
pub(super) fn variable(
    kind: SourceKind,
    env: Env<'_>,
    variable: &'static str,
) -> Result<String, InvalidSource> {
    let value = env(variable).filter(|value| !value.trim().is_empty());
    value.ok_or(InvalidSource::MissingVariable { kind, variable })
}

/// A string that is zeroed on drop, as the owner of a body.
struct ZeroizingBytes(Zeroizing<String>);

impl AsRef<[u8]> for ZeroizingBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_its_path_and_query() {
        let endpoint = |url: &str| Endpoint::new(SourceKind::AppService, "http", url);
        let query = |url: &str| endpoint(url).unwrap().query(&[("a", "b c&d"), ("e", "/")]);
        for (url, expected) in [
            (
                "http://localhost:42356/msi/token",
                "http://localhost:42356/msi/token?a=b%20c%26d&e=%2F",
            ),
            (
                "http://127.0.0.1:1/msi/token?x=y",
                "http://127.0.0.1:1/msi/token?x=y&a=b%20c%26d&e=%2F",
            ),
            ("http://[::1]:1/msi", "http://[::1]:1/msi?a=b%20c%26d&e=%2F"),
        ] {
            assert_eq!(query(url), expected);
        }
        for invalid in [
            "",
            "/msi",
            "localhost:1/msi",
            "https://localhost/msi",
            "http://u@localhost/msi",
            "ftp://a/b",
        ] {
            let error = endpoint(invalid).err();
            assert!(matches!(error, Some(InvalidSource::Endpoint { .. })), "{invalid}");
        }
    }
}
