//! HTTP/1.1 with a caller.

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

use super::control;
use super::linger::{Lingering, Unread, Watched};

/// How long a caller may take to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// How many bytes a connection reads ahead or holds to be written, and the longest head of a request.
const BUFFER: usize = 128 << 10;

/// Which door a caller came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Socket,
    Loopback,
    LoopbackTls,
}

/// Serves one connection. When the daemon stops, the request that runs is the last.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    broker: Broker,
    caller: Caller,
    door: Door,
    stopped: impl Future<Output = ()>,
) {
    let unread = Unread::default();
    let stream = Lingering::new(stream, unread.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (broker, caller, unread) = (broker.clone(), caller.clone(), unread.clone());
        async move {
            let request = request.map(|body| unread.watch(body));
            let mut response = answer(&broker, &caller, door, request).await;
            if unread.get() {
                // What is left of the body is not read, and no other request can follow it.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).half_close(false).max_buf_size(BUFFER);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A caller that went away, or an answer that broke off: the audit has the call, with its reason.
        tracing::debug!(%error, "a connection ended");
    }
}

/// The first part of the path is the mount's name; the plugin gets what is behind.
async fn answer(broker: &Broker, caller: &Caller, door: Door, mut request: Request<Watched>) -> Response<Body> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(Authority::as_str)).unwrap_or("localhost").to_owned();
    if door != Door::Socket && !is_loopback_name(&host) {
        // A web page may lead its own name to 127.0.0.1 and have a browser call here.
        let detail = "a request that comes over the loopback address must name a loopback host";
        return problem(StatusCode::MISDIRECTED_REQUEST, "misdirected", "Wrong host", detail);
    }
    if request.uri().path().starts_with(control::PREFIX) {
        return control::answer(broker, caller, request).await;
    }
    let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let rest = path.strip_prefix('/').unwrap_or(path);
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (mount, behind) = rest.split_at(end);
    let mount = mount.to_owned();
    let behind = if behind.starts_with('/') { behind.to_owned() } else { format!("/{behind}") };
    match behind.parse::<Uri>() {
        Ok(uri) => *request.uri_mut() = uri,
        Err(_) => return CallError::BadRequest { why: "its path is malformed" }.into_response(),
    }
    let scheme = if door == Door::LoopbackTls { "https" } else { "http" };
    request.extensions_mut().insert(PublicUrl { scheme, host, prefix: format!("/{mount}") });
    broker.call(&mount, caller, request).await.unwrap_or_else(CallError::into_response)
}

/// Whether a `host` field names this machine by one of its own names.
fn is_loopback_name(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    is_loopback || name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_taken_over_loopback() {
        for host in ["localhost", "localhost:8200", "127.0.0.1:8200", "[::1]:8200", "keyward.localhost", "LOCALHOST"] {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "169.254.169.254", "", "a b", "127.0.0.1.evil.example"] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }
}
