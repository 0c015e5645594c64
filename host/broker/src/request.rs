//! A caller's request, as a plugin gets it.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{self, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;
use wasmtime_wasi_http::Error as WasiError;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;

use crate::call::Call;
use crate::error::CallError;
use crate::slow_body::SlowBody;
use keyward_policy::authorize::override_fields;

/// Where callers reach a mount, so that its plugin can write links that lead back. A service that
/// embeds the broker puts it into the request's extensions; without it the request's own host and
/// `/MOUNT` are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The host, with a port where it is not the scheme's.
    pub host: String,
    /// The path before what the plugin sees: empty, or a slash and more, without a slash at its
    /// end.
    pub prefix: String,
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, prefix } = self;
        write!(f, "{scheme}://{host}{prefix}")
    }
}

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Header fields of a caller's that go no further: its own credentials, those of the connection,
/// and those in which only the host's word counts. `connection` itself, and the others of the
/// connection, never reach a plugin anyway.
const DROPPED: [HeaderName; 10] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    X_FORWARDED_PROTO,
    X_FORWARDED_HOST,
    X_FORWARDED_PREFIX,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-keyward-token"),
];

/// Prepares a request for the plugin of a mount.
pub(crate) fn prepare<B>(
    call: &Arc<Call>,
    request: Request<B>,
) -> Result<(Request<FromCaller<B>>, Scheme), CallError>
where
    B: Body<Data = Bytes>,
{
    let (mut parts, body) = request.into_parts();
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        return Err(CallError::BadRequest { why: "CONNECT and TRACE are not supported" });
    }
    if parts.headers.contains_key(header::UPGRADE) {
        return Err(CallError::BadRequest { why: "connection upgrades are not supported" });
    }
    let path_and_query = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    if !path_and_query.starts_with('/') {
        return Err(CallError::BadRequest { why: "the path must begin with a slash" });
    }
    let public_url = public_url(call, &mut parts.extensions, &parts.uri, &parts.headers);
    parts.uri = path_and_query
        .parse()
        .map_err(|_| CallError::BadRequest { why: "its path is malformed" })?;

    call.expectation().read(parts.version, &parts.headers);
    drop_headers(&mut parts.headers);
    let grants = call.grants();
    let overriding = if grants.iter().any(|grant| grant.is_narrowed()) {
        override_fields::find(&parts.headers)
    } else if grants.iter().any(|grant| !grant.minting.services.is_empty()) {
        override_fields::find_of(override_fields::PATHS, &parts.headers)
    } else {
        None
    };
    if let Some(field) = overriding {
        return Err(call.overridden(field));
    }
    if parts.headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
        return Err(CallError::BadRequest { why: "more than one content-length" });
    }
    note_size(call, &parts.headers);
    // So that a plugin need not read to find out: no body always says so.
    if body.is_end_stream() {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    } else if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(CONTENT_LENGTH, length.into());
    }
    let unusual = || CallError::BadRequest { why: "malformed host" };
    let scheme = if public_url.scheme == "https" { Scheme::Https } else { Scheme::Http };
    parts.headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(public_url.scheme));
    parts
        .headers
        .insert(X_FORWARDED_HOST, HeaderValue::from_str(&public_url.host).map_err(|_| unusual())?);
    parts.headers.insert(
        X_FORWARDED_PREFIX,
        HeaderValue::from_str(&public_url.prefix).map_err(|_| unusual())?,
    );
    // WASI takes the request's authority from here, and keeps the field from the plugin.
    parts
        .headers
        .insert(header::HOST, HeaderValue::from_str(&public_url.host).map_err(|_| unusual())?);
    Ok((
        Request::from_parts(parts, FromCaller { inner: body, call: Arc::clone(call), wait: None }),
        scheme,
    ))
}

/// Notes header fields that a plugin cannot pass on within its limit. An eighth of that is for the
/// fields that it adds.
fn note_size(call: &Call, headers: &HeaderMap) {
    let size = |(name, value): (&HeaderName, &HeaderValue)| {
        // As wasmtime counts them.
        name.as_str().len() + size_of::<HeaderName>() + value.len() + size_of::<HeaderValue>()
    };
    let bytes: usize = headers.iter().map(size).sum();
    if bytes as u64 > call.mount().limits.header_bytes / 8 * 7 {
        call.note_large_fields();
    }
}

fn public_url(
    call: &Call,
    extensions: &mut http::Extensions,
    uri: &Uri,
    headers: &HeaderMap,
) -> PublicUrl {
    if let Some(public_url) = extensions.remove::<PublicUrl>() {
        return public_url;
    }
    let host = uri.authority().map(|authority| authority.as_str());
    let host = host.or_else(|| headers.get(header::HOST)?.to_str().ok()).unwrap_or("localhost");
    let scheme = if uri.scheme_str() == Some("https") { "https" } else { "http" };
    PublicUrl { scheme, host: host.to_owned(), prefix: format!("/{}", call.mount().name) }
}

fn drop_headers(headers: &mut HeaderMap) {
    // Fields that `connection` names belong to the connection too (RFC 9110, 7.6.1).
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| *name != CONTENT_LENGTH)
        .collect();
    for name in named.iter().chain(&DROPPED) {
        headers.remove(name);
    }
}

fn too_slow(call: &Call, slow: SlowBody) -> CallError {
    CallError::SlowBody { mount: call.mount().name.clone(), slow }
}

/// The body of a caller's request.
pub(crate) struct FromCaller<B> {
    inner: B,
    call: Arc<Call>,
    /// For a service to say that it wants the body.
    wait: Option<Pin<Box<Sleep>>>,
}

impl<B> Body for FromCaller<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = WasiError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WasiError>>> {
        let this = &mut *self;
        ready!(this.call.expectation().poll_wanted(&mut this.wait, cx));
        loop {
            let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
            return Poll::Ready(match frame {
                None => None,
                Some(Err(error)) => {
                    let error = error.into();
                    let slow = error.downcast_ref::<SlowBody>();
                    match slow.map(|slow| too_slow(&this.call, *slow)).or_else(|| mistake(&*error))
                    {
                        // A response that came before the end of the body counts.
                        Some(mistake) if !this.call.has_overtaken_upload() => {
                            this.call.fail(mistake);
                        }
                        _ => this.call.note_abandoned(),
                    }
                    Some(Err(WasiError::InternalError(Some(error.to_string()))))
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        this.call.count_in(data.len());
                        Some(Ok(Frame::data(data)))
                    }
                    // Trailers are dropped: no rule has looked at them.
                    Err(_trailers) => continue,
                },
            });
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The caller's mistake that ended its body; `None` where the connection broke.
fn mistake(error: &(dyn Error + 'static)) -> Option<CallError> {
    let mut sources = std::iter::successors(Some(error), |&error| error.source());
    let kind = sources.find_map(|error| Some(error.downcast_ref::<io::Error>()?.kind()))?;
    match kind {
        ErrorKind::InvalidData | ErrorKind::InvalidInput => {
            Some(CallError::BadRequest { why: "its body is malformed" })
        }
        ErrorKind::UnexpectedEof => Some(CallError::IncompleteBody),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_credentials_and_the_connections_fields_go_no_further() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer eyJ0.callers"),
            ("proxy-authorization", "Basic eA=="),
            ("cookie", "session=1"),
            ("forwarded", "for=1.2.3.4"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-prefix", "/evil"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("x-ms-date", "stays"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        drop_headers(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["connection", "x-ms-date"]);
    }
}
