//! The admin listener: a Unix socket of its own, by which the daemon is controlled.
//!
//! Only root and the daemon's user can connect to it. Changes are made by `POST` only, and no
//! response contains a credential. It is served on the main thread, so that it responds while calls
//! keep the other threads busy.

use std::path::Path;

use http::header::{ALLOW, ETAG, HeaderValue, IF_MATCH};
use http::{Method, Request, Response, StatusCode};
use keyward::{Body, Caller, problem};
use serde_json::json;

use crate::inherited::Inherited;
use crate::listen::json_response;
use crate::running::{ReloadError, Running};

/// `POST`: reads the configuration again. `If-Match` can name the digest of the one in use.
pub(crate) const RELOAD_PATH: &str = "/reload";

/// `POST`: stops the daemon gracefully.
pub(crate) const STOP_PATH: &str = "/stop";

/// `GET`: what the daemon is doing. `ETag` is the digest of the configuration in use.
pub(crate) const STATUS_PATH: &str = "/status";

/// `GET`: 200 while the daemon serves callers, 503 once it stops.
pub(crate) const READINESS_PATH: &str = "/readiness";

/// `GET`: 200 once the daemon has started.
const STARTUP_PATH: &str = "/startup";

/// `GET`: 200 as long as the main thread responds.
const LIVENESS_PATH: &str = "/liveness";

/// Responds to a request.
async fn respond(
    running: &Running,
    caller: &Caller,
    request: &Request<impl Sized>,
) -> Response<Body> {
    let method = match request.uri().path() {
        RELOAD_PATH | STOP_PATH => Method::POST,
        STATUS_PATH | READINESS_PATH | STARTUP_PATH | LIVENESS_PATH => Method::GET,
        _ => {
            let detail = format!(
                "the paths are {STATUS_PATH}, {STARTUP_PATH}, {READINESS_PATH} and \
                 {LIVENESS_PATH} for GET, and {RELOAD_PATH} and {STOP_PATH} for POST"
            );
            return problem(StatusCode::NOT_FOUND, "unknown-path", "Unknown path", &detail);
        }
    };
    if request.method() != method {
        let (title, detail) = ("The method is not allowed", format!("use {method}"));
        let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "bad-request", title, &detail);
        if let Ok(allow) = HeaderValue::from_str(method.as_str()) {
            response.headers_mut().insert(ALLOW, allow);
        }
        return response;
    }
    match request.uri().path() {
        RELOAD_PATH => reload(running, caller, request).await,
        STOP_PATH => {
            tracing::info!(by = %caller, "asked to stop");
            running.request_stop();
            let mut response = json_response(&json!({ "state": "stopping" }));
            *response.status_mut() = StatusCode::ACCEPTED;
            response
        }
        STATUS_PATH => labeled(json_response(&running.status()), &running.digest()),
        READINESS_PATH if !running.is_ready() => {
            let detail = "the daemon is stopping, and accepts no new connections";
            let title = "The broker is stopping";
            problem(StatusCode::SERVICE_UNAVAILABLE, "stopping", title, detail)
        }
        _ => json_response(&json!({ "status": "ok" })),
    }
}

async fn reload(
    running: &Running,
    caller: &Caller,
    request: &Request<impl Sized>,
) -> Response<Body> {
    let expected = match request.headers().get(IF_MATCH).map(digest_of) {
        None => None,
        Some(Ok(expected)) => expected,
        Some(Err(detail)) => {
            return problem(StatusCode::BAD_REQUEST, "bad-request", "Invalid request", detail);
        }
    };
    match running.reload(&caller.to_string(), expected.as_deref()).await {
        Ok(report) => labeled(json_response(&report), &running.digest()),
        Err(error) => {
            let (status, kind, title) = match &error {
                ReloadError::Invalid(_) => (
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "invalid-configuration",
                    "The configuration is invalid",
                ),
                ReloadError::OtherDigest(_) => (
                    StatusCode::PRECONDITION_FAILED,
                    "other-configuration",
                    "Another configuration is in use",
                ),
                ReloadError::NeedsRestart(_) => {
                    (StatusCode::CONFLICT, "needs-restart", "The configuration needs a restart")
                }
                ReloadError::Stopping => {
                    (StatusCode::SERVICE_UNAVAILABLE, "stopping", "The broker is stopping")
                }
            };
            let detail = format!("{error}. Nothing is changed");
            labeled(problem(status, kind, title, &detail), &running.digest())
        }
    }
}

/// The digest in an `If-Match` field; `None` for `*`, which any configuration matches.
fn digest_of(field: &HeaderValue) -> Result<Option<String>, &'static str> {
    let text = field.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let digest = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let digest = digest.filter(|digest| !digest.is_empty() && !digest.contains('"'));
    digest
        .map(|digest| Some(digest.to_owned()))
        .ok_or("`if-match` must be one entity tag in quotes, the digest of a configuration, or `*`")
}

/// Adds the digest of the configuration in use.
fn labeled(mut response: Response<Body>, digest: &str) -> Response<Body> {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{digest}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

#[cfg(unix)]
pub(crate) use self::unix::AdminListener;

#[cfg(unix)]
mod unix {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::time::Duration;

    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioIo, TokioTimer};
    use tokio::net::UnixStream;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::exit::Failure;
    use crate::listen::{self, SocketListener, Wanted, may_control};

    /// The permissions of the socket.
    const MODE: u32 = 0o600;

    /// The most connections at once. Further ones wait.
    const MOST_CONNECTIONS: usize = 32;

    /// How long a head may take to arrive, and a connection may be idle.
    const HEAD_TIME: Duration = Duration::from_secs(30);

    /// Delay after an error of `accept`, such as having no file descriptors left.
    const BACKOFF: Duration = Duration::from_millis(50);

    /// The bound admin socket.
    #[derive(Debug)]
    pub(crate) struct AdminListener(SocketListener);

    impl AdminListener {
        /// Binds the socket.
        ///
        /// # Errors
        ///
        /// It cannot be created, other users could replace it, or another daemon listens there.
        pub(crate) fn bind(path: &Path, inherited: &mut Inherited) -> Result<Self, Failure> {
            let listener = match inherited.unix("admin", path)? {
                Some(listener) => listen::adopt_socket(listener, path, Wanted::default()),
                None => listen::bind_socket(path, MODE, Wanted::default()),
            };
            listener.map(Self)
        }

        /// Serves connections, for as long as this is polled.
        pub(crate) async fn serve(&self, running: &Running) -> Infallible {
            let permits = Arc::new(Semaphore::new(MOST_CONNECTIONS));
            loop {
                // The semaphore is never closed.
                let permit = Arc::clone(&permits).acquire_owned().await.ok();
                match self.0.accept_stream().await {
                    Ok(stream) => {
                        let running = running.clone();
                        tokio::spawn(async move {
                            serve_connection(stream, running).await;
                            drop(permit);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection at the admin socket");
                        tokio::time::sleep(BACKOFF).await;
                    }
                }
            }
        }
    }

    async fn serve_connection(stream: UnixStream, running: Running) {
        let caller = match listen::unix_socket(&stream, Wanted::default()) {
            Ok(caller) => caller,
            Err(error) => {
                tracing::debug!(%error, "cannot identify who connects to the admin socket");
                return;
            }
        };
        let service = service_fn(|request: Request<Incoming>| {
            let (running, caller) = (&running, &caller);
            async move {
                if !may_control(caller) {
                    let detail = "only the daemon's own user and root may connect here";
                    let title = "Permission denied";
                    let status = StatusCode::FORBIDDEN;
                    return Ok::<_, Infallible>(problem(status, "not-allowed", title, detail));
                }
                Ok(respond(running, caller, &request).await)
            }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(16 << 10);
        if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
            tracing::debug!(%error, "a connection at the admin socket ended with an error");
        }
    }
}

#[cfg(not(unix))]
pub(crate) use self::other::AdminListener;

#[cfg(not(unix))]
mod other {
    use std::convert::Infallible;

    use super::*;
    use crate::exit::Failure;

    /// There is none on this system: the configuration cannot have one.
    #[derive(Debug)]
    pub(crate) struct AdminListener;

    impl AdminListener {
        pub(crate) fn bind(_: &Path, _: &mut Inherited) -> Result<Self, Failure> {
            Err(Failure::config("[admin]: this system has no Unix sockets"))
        }

        #[allow(clippy::unused_self, reason = "as on other systems")]
        pub(crate) async fn serve(&self, _: &Running) -> Infallible {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_tag_is_one_digest_in_quotes() {
        let digest = |text: &str| digest_of(&HeaderValue::from_str(text).unwrap());
        assert_eq!(digest("\"ab12\""), Ok(Some("ab12".to_owned())));
        assert_eq!(digest("*"), Ok(None));
        for invalid in ["", "ab12", "\"\"", "W/\"ab12\"", "\"a\", \"b\""] {
            assert!(digest(invalid).is_err(), "{invalid}");
        }
    }
}
