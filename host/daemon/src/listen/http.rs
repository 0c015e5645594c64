//! Serves HTTP/1.1 to a caller.

use std::convert::Infallible;
use std::time::Duration;

use http::header::{CONNECTION, HOST};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use keyward::{Body, Broker, CallError, Caller, PublicUrl, problem};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::control;
use super::linger::{LingeringStream, TrackedBody, UnreadBody};

/// How long a caller may take to send the head of a request.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The size of a connection's read and write buffers, and so of the longest request head, in bytes.
const MAX_BUFFER_SIZE: usize = 128 << 10;

/// The kind of listener that accepted a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListenerKind {
    Unix,
    /// Loopback TCP.
    Tcp,
    /// TLS over loopback TCP.
    Tls,
}

/// Serves one connection. After shutdown began, it ends with the current request.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    broker: Broker,
    caller: Caller,
    kind: ListenerKind,
    shutdown: CancellationToken,
) {
    let unread = UnreadBody::default();
    let stream = LingeringStream::new(stream, unread.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (broker, caller, unread) = (broker.clone(), caller.clone(), unread.clone());
        async move {
            let request = request.map(|body| unread.track(body));
            let mut response = respond(&broker, &caller, kind, request).await;
            if unread.get() {
                // The rest of the body is not read, so no other request can follow.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .half_close(false)
        .max_buf_size(MAX_BUFFER_SIZE);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        // The caller disconnected, or a response was aborted: the audit has the call and its error.
        tracing::debug!(%error, "connection closed with an error");
    }
}

/// Routes a request by the first segment of its path, the mount's name. The plugin sees the rest.
async fn respond(
    broker: &Broker,
    caller: &Caller,
    kind: ListenerKind,
    mut request: Request<TrackedBody>,
) -> Response<Body> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host
        .or_else(|| request.uri().authority().map(Authority::as_str))
        .unwrap_or("localhost")
        .to_owned();
    if kind != ListenerKind::Unix && !is_loopback_name(&host) {
        // DNS rebinding: a web page may resolve its own name to 127.0.0.1 and send requests here.
        let detail = "the `host` of a request over TCP must be a loopback name or address";
        return problem(StatusCode::MISDIRECTED_REQUEST, "misdirected", "Wrong host", detail);
    }
    if request.uri().path().starts_with(control::PATH_PREFIX) {
        return control::respond(broker, caller, request).await;
    }
    let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let rest = path.strip_prefix('/').unwrap_or(path);
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (mount, rest) = rest.split_at(end);
    let mount = mount.to_owned();
    let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    match rest.parse::<Uri>() {
        Ok(uri) => *request.uri_mut() = uri,
        Err(_) => return CallError::BadRequest { why: "its path is malformed" }.into_response(),
    }
    let scheme = if kind == ListenerKind::Tls { "https" } else { "http" };
    request.extensions_mut().insert(PublicUrl { scheme, host, prefix: format!("/{mount}") });
    broker.call(&mount, caller, request).await.unwrap_or_else(CallError::into_response)
}

/// Whether a `host` header field is `localhost`, a name below it, or a loopback address.
fn is_loopback_name(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let name = name.to_ascii_lowercase();
    is_loopback || name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_and_addresses_are_accepted() {
        for host in [
            "localhost",
            "localhost:8200",
            "127.0.0.1:8200",
            "[::1]:8200",
            "keyward.localhost",
            "LOCALHOST",
        ] {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "169.254.169.254",
            "",
            "a b",
            "127.0.0.1.evil.example",
        ] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }
}
