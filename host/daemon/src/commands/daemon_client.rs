//! A client of a running daemon, over its Unix socket.

use std::path::Path;
#[cfg(unix)]
use std::time::Duration;

use http::Method;
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
    let exchanged = tokio::time::timeout(TIMEOUT, exchange(socket, method, path, body)).await;
    exchanged.unwrap_or_else(|_| {
        let seconds = TIMEOUT.as_secs();
        Ok(Controlled::Silent(format!("it did not respond within {seconds} seconds")))
    })
}

#[cfg(unix)]
async fn exchange(
    socket: &Path,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<Controlled, Failure> {
    use std::io::ErrorKind;

    use http::Request;
    use http_body_util::{BodyExt, Full};

    let mut client = match DaemonClient::connect(socket).await {
        Ok(client) => client,
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => return Ok(Controlled::NoDaemon),
            ErrorKind::WouldBlock => {
                let reason = "too many connections wait at its socket";
                return Ok(Controlled::Silent(reason.to_owned()));
            }
            _ => {
                let socket = socket.display();
                let failure = Failure::unavailable(format!("cannot connect to {socket}: {error}"));
                return Err(failure.help("run this as the daemon's user or as root"));
            }
        },
    };
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let request = Request::builder().method(method).uri(path).body(Full::new(body.into()));
    let response = match client.send(request.map_err(Failure::software)?).await {
        Ok(response) => response,
        Err(failure) => return Ok(Controlled::Silent(failure.message().to_owned())),
    };
    let status = response.status();
    let body = match response.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Ok(Controlled::Silent(error.to_string())),
    };
    let body: Value = serde_json::from_slice(&body).map_err(Failure::unavailable)?;
    if !status.is_success() {
        let detail = body.get("detail").and_then(Value::as_str).unwrap_or("no `detail`");
        return Err(Failure::unavailable(format!("the daemon responded with {status}: {detail}")));
    }
    Ok(Controlled::Answer(body))
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
