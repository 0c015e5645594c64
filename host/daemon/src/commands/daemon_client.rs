//! A client of a running daemon, over its Unix socket.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;

#[cfg(unix)]
pub(super) use self::unix::DaemonClient;
use crate::exit::Failure;

/// How long a daemon may take to respond to a control request. A lock waits up to 5 seconds for
/// calls to stop.
#[cfg(unix)]
const TIMEOUT: Duration = Duration::from_secs(8);

/// The outcome of a control request.
#[derive(Debug)]
pub(super) enum Controlled {
    /// The JSON of the daemon's response.
    #[cfg_attr(not(unix), expect(dead_code, reason = "no daemon can be reached"))]
    Answer(Value),
    /// No daemon is listening at this socket.
    NoDaemon,
    /// A daemon is listening, but did not respond, for this reason. It may have acted.
    #[cfg_attr(not(unix), expect(dead_code, reason = "no daemon can be reached"))]
    Silent(String),
}

/// The outcome of any request to a daemon.
#[derive(Debug)]
#[cfg_attr(not(unix), allow(dead_code, reason = "no daemon can be reached"))]
pub(super) enum Exchanged {
    /// The JSON of the daemon's response.
    Answer(Value),
    /// The daemon responded with an error: the last part of the problem's type, and its detail.
    Refused { status: StatusCode, kind: String, detail: String },
    /// As [`Controlled::NoDaemon`].
    NoDaemon,
    /// As [`Controlled::Silent`].
    Silent(String),
}

/// Sends a control request to the daemon.
///
/// # Errors
///
/// The daemon cannot be reached by this user, or refuses the request.
#[cfg(unix)]
pub(super) async fn control(
    socket: &Path,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<Controlled, Failure> {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let request = Request::builder().method(method).uri(path).body(Full::from(body));
    let request = request.map_err(Failure::software)?;
    match control_within(TIMEOUT, socket, request).await? {
        Exchanged::Answer(answer) => Ok(Controlled::Answer(answer)),
        Exchanged::NoDaemon => Ok(Controlled::NoDaemon),
        Exchanged::Silent(reason) => Ok(Controlled::Silent(reason)),
        Exchanged::Refused { status, detail, .. } => {
            Err(Failure::unavailable(format!("the daemon responded with {status}: {detail}")))
        }
    }
}

/// The same for any request, within a time. A response with an error is not a failure.
#[cfg(unix)]
pub(super) async fn control_within(
    time: Duration,
    socket: &Path,
    request: Request<Full<Bytes>>,
) -> Result<Exchanged, Failure> {
    let exchanged = tokio::time::timeout(time, exchange(socket, request)).await;
    exchanged.unwrap_or_else(|_| {
        let seconds = time.as_secs();
        Ok(Exchanged::Silent(format!("it did not respond within {seconds} seconds")))
    })
}

#[cfg(unix)]
async fn exchange(socket: &Path, request: Request<Full<Bytes>>) -> Result<Exchanged, Failure> {
    use std::io::ErrorKind;

    use http_body_util::BodyExt;

    let mut client = match DaemonClient::connect(socket).await {
        Ok(client) => client,
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => return Ok(Exchanged::NoDaemon),
            ErrorKind::WouldBlock => {
                let reason = "too many connections wait at its socket";
                return Ok(Exchanged::Silent(reason.to_owned()));
            }
            _ => {
                let socket = socket.display();
                let failure = Failure::unavailable(format!("cannot connect to {socket}: {error}"));
                return Err(failure.help("run this as the daemon's user or as root"));
            }
        },
    };
    let response = match client.send(request).await {
        Ok(response) => response,
        Err(failure) => return Ok(Exchanged::Silent(failure.message().to_owned())),
    };
    let status = response.status();
    let body = match response.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Ok(Exchanged::Silent(error.to_string())),
    };
    let body: Value = serde_json::from_slice(&body).map_err(Failure::unavailable)?;
    if !status.is_success() {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let kind = text("type").and_then(|kind| kind.rsplit(':').next()).unwrap_or_default();
        let detail = text("detail").unwrap_or("no `detail`").to_owned();
        return Ok(Exchanged::Refused { status, kind: kind.to_owned(), detail });
    }
    Ok(Exchanged::Answer(body))
}

#[cfg(not(unix))]
pub(super) async fn control(
    _: &Path,
    _: Method,
    _: &str,
    _: Option<Value>,
) -> Result<Controlled, Failure> {
    Ok(Controlled::NoDaemon)
}

#[cfg(not(unix))]
pub(super) async fn control_within(
    _: Duration,
    _: &Path,
    _: Request<Full<Bytes>>,
) -> Result<Exchanged, Failure> {
    Ok(Exchanged::NoDaemon)
}

#[cfg(unix)]
mod unix {
    use std::io;
    use std::path::Path;

    use bytes::Bytes;
    use http::header::HOST;
    use http::{HeaderValue, Request, Response};
    use http_body_util::Full;
    use hyper::body::Incoming;
    use hyper::client::conn::http1::{self, SendRequest};
    use hyper_util::rt::TokioIo;

    use crate::exit::Failure;
    use crate::sockets;

    /// A connection to a daemon.
    pub(in crate::commands) struct DaemonClient {
        sender: SendRequest<Full<Bytes>>,
        connection: tokio::task::AbortHandle,
    }

    impl DaemonClient {
        /// Connects to a daemon's socket.
        pub(in crate::commands) async fn connect(socket: &Path) -> io::Result<Self> {
            let stream = sockets::connect(socket).await?;
            let handshake = http1::handshake(TokioIo::new(stream)).await;
            let (sender, connection) = handshake.map_err(io::Error::other)?;
            Ok(Self { sender, connection: tokio::spawn(connection).abort_handle() })
        }

        /// Sends a request. The response's body can be read as long as this client exists.
        pub(in crate::commands) async fn send(
            &mut self,
            mut request: Request<Full<Bytes>>,
        ) -> Result<Response<Incoming>, Failure> {
            request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
            self.sender.send_request(request).await.map_err(Failure::unavailable)
        }
    }

    impl Drop for DaemonClient {
        fn drop(&mut self) {
            self.connection.abort();
        }
    }
}
