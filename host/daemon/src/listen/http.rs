//! Serves HTTP/1.1 to a caller.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use keyward::{Body, Broker, Caller, PublicUrl, RejectedRequest, Rejection};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::connection_shares::Share;
use super::framing::{MAX_HEAD_TIME, RejectionSlot, StrictFraming};
use super::linger::{LingeringStream, TrackedBody, UnreadBody};
use super::site::Site;
use super::{Identified, caller_token, control, host_check, web_page};
use crate::lock_store::LockStore;
use crate::service_account::Verifier;

/// How long a connection may be idle, in any case.
const IDLE_TIME: Duration = Duration::from_secs(60);

/// The size of a connection's read and write buffers, in bytes: longer than the longest head.
const MAX_BUFFER_SIZE: usize = 144 << 10;

/// A connection: whose it is, and where it leads.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) broker: Broker,
    pub(super) locks: LockStore,
    pub(super) identified: Identified,
    /// The part of its caller's connections; `None` for one that is reserved.
    pub(super) share: Option<Arc<Share>>,
    pub(super) site: Site,
    /// Verifies the tokens in requests.
    pub(super) verifier: Option<Arc<Verifier>>,
}

/// Serves one connection. After shutdown began, it ends with the current request. `min_rate` is how
/// fast the caller must send and read, in bytes per second; 0 for any rate.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    connection: Connection,
    min_rate: u64,
    shutdown: CancellationToken,
) {
    let unread = UnreadBody::default();
    let rejection = RejectionSlot::default();
    let stream = LingeringStream::new(stream, unread.clone(), min_rate);
    let stream = StrictFraming::new(stream, rejection.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let connection = connection.clone();
        let unread = unread.clone();
        let request = request.map(|body| unread.track(body, min_rate));
        let rejection = rejection.take();
        if rejection.is_some() {
            unread.set(true);
        }
        async move {
            let (mut response, ends) = respond(&connection, request, rejection).await;
            // If the rest of the body is not read, no other request can follow.
            if ends || unread.get() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // hyper's timer also runs on while a head arrives.
        .header_read_timeout(IDLE_TIME + MAX_HEAD_TIME)
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

/// Responds to a request: calls a mount, or rejects it. `rejection` is that of a malformed request.
/// Returns whether the connection ends with the response, too.
async fn respond(
    connection: &Connection,
    mut request: Request<TrackedBody>,
    rejection: Option<Rejection>,
) -> (Response<Body>, bool) {
    let Connection { broker, locks, identified, share, site, verifier } = connection;
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let reject = |caller: &Caller, rejection: Rejection| {
        let (mount, path) = split_mount(&path);
        let request = RejectedRequest { method: method.as_str(), mount, path };
        broker.reject(caller, request, &rejection)
    };
    let (mut page, mut ends) = (None, false);
    let of_connection = &identified.caller;
    let mut response = match rejection.map_or_else(|| check(&request, site), Err) {
        Err(rejection) => reject(of_connection, rejection),
        Ok(checked) => {
            page = checked.page;
            request.extensions_mut().insert(checked.public_url);
            let headers = request.headers_mut();
            let verifier = verifier.as_ref();
            let now = SystemTime::now();
            let is_counted =
                |caller| share.as_ref().is_none_or(|share| share.prove(caller).is_ok());
            match caller_token::identify(identified, headers, site, verifier, now).await {
                Ok(caller) if is_counted(&caller) => {
                    let is_from_page = page.is_some();
                    let response =
                        respond_checked((broker, locks), &caller, is_from_page, request).await;
                    response.unwrap_or_else(|rejection| reject(&caller, rejection))
                }
                Ok(caller) => {
                    ends = true;
                    reject(&caller, caller_token::too_many_connections())
                }
                Err(rejection) => {
                    // Nothing but another handshake can prove more.
                    ends = identified.has_expired(now);
                    reject(of_connection, rejection)
                }
            }
        }
    };
    web_page::protect(response.headers_mut(), site, page);
    (response, ends)
}

/// A request that may be answered.
struct Checked {
    public_url: PublicUrl,
    /// The origin of the web page that sent it.
    page: Option<HeaderValue>,
}

fn check(request: &Request<TrackedBody>, site: &Site) -> Result<Checked, Rejection> {
    let (uri, headers) = (request.uri(), request.headers());
    let host = host_check::check(request.version(), uri, headers, site)?;
    let page = web_page::check(headers, site)?;
    if !uri.path().starts_with('/') {
        return Err(Rejection::malformed("the request's target must be a path"));
    }
    let (mount, _) = split_mount(uri.path());
    let prefix = format!("/{mount}");
    Ok(Checked { public_url: PublicUrl { scheme: site.scheme(), host, prefix }, page })
}

/// Routes a request by the first segment of its path, the mount's name. The plugin sees the rest.
async fn respond_checked(
    (broker, locks): (&Broker, &LockStore),
    caller: &Caller,
    is_from_page: bool,
    mut request: Request<TrackedBody>,
) -> Result<Response<Body>, Rejection> {
    if is_from_page {
        if let Some(response) = web_page::preflight(request.method(), request.headers()) {
            return Ok(response);
        }
        web_page::drop_request_fields(request.headers_mut());
    }
    if request.uri().path().starts_with(control::PATH_PREFIX) {
        return control::respond(broker, locks, caller, request).await;
    }
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let (mount, rest) = split_mount(target);
    let mount = mount.to_owned();
    let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    let malformed = |_| Rejection::malformed("the request's path is malformed");
    *request.uri_mut() = rest.parse::<Uri>().map_err(malformed)?;
    let mut response = broker.respond(&mount, caller, request).await;
    web_page::drop_response_fields(response.headers_mut());
    Ok(response)
}

/// Splits a path into its first segment and the rest, which may be a query.
fn split_mount(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_at(path.find(['/', '?']).unwrap_or(path.len()))
}
