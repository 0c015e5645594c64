//! `keyward call`: sends one request and prints the response.

use std::io::IsTerminal;
use std::path::Path;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use keyward::audit::{AuditSink, Record};
#[cfg(unix)]
use keyward::caller::Proof;
use keyward::{CallError, Caller};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[cfg(unix)]
use super::daemon_client::DaemonClient;
use super::start;
use crate::cli::Call;
use crate::config::DaemonConfig;
use crate::exit::{Exit, Failure};
use crate::lock_store;

pub(crate) async fn call(call: Call) -> Result<Exit, Failure> {
    let status = match &call.config {
        Some(config) => in_process(&call, config).await?,
        None => through_daemon(&call).await?,
    };
    Ok(if status < 400 { Exit::Success } else { Exit::Negative })
}

/// Discards records: a call of the command line's own user is not audited.
struct NoAudit;

impl AuditSink for NoAudit {
    fn record(&self, _: &Record) {}
}

async fn in_process(call: &Call, config: &Path) -> Result<u16, Failure> {
    let config = DaemonConfig::load(config)?;
    let locks = lock_store::read(config.lock.file.as_deref())?.stored.locks;
    let (plan, _, _) = config.plan()?;
    let broker = start::broker(plan, std::sync::Arc::new(NoAudit), locks)?;
    let request = request(call, &call.path).await?;
    let result = broker.call(&call.mount, &own_user(), request).await;
    print(call, result.unwrap_or_else(CallError::into_response)).await
}

/// The caller that a daemon would see: the user of this process.
#[cfg(unix)]
fn own_user() -> Caller {
    use rustix::process::{getegid, geteuid, getgroups, getpid};

    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let groups = getgroups().unwrap_or_default().into_iter().map(|group| group.as_raw());
    let groups = Some(groups.chain([gid]).collect());
    let pid = Some(getpid().as_raw_nonzero().get());
    Proof { uid: Some(uid), gid: Some(gid), groups, pid, ..Proof::default() }.into()
}

/// A caller without a user: this system has none.
#[cfg(not(unix))]
fn own_user() -> Caller {
    Caller::named("keyward call")
}

#[cfg(unix)]
async fn through_daemon(call: &Call) -> Result<u16, Failure> {
    let socket = call.socket.clone().unwrap_or_else(crate::sockets::default_socket);
    let client = DaemonClient::connect(&socket).await;
    let mut client = client.map_err(|error| cannot_connect(&socket, &error))?;
    let request = request(call, &format!("/{}{}", call.mount, call.path)).await?;
    let response = client.send(request).await?;
    print(call, response).await
}

#[cfg(not(unix))]
async fn through_daemon(_: &Call) -> Result<u16, Failure> {
    let failure = Failure::config("this system has no Unix sockets");
    Err(failure.help("use --config, or any HTTP client"))
}

#[cfg(unix)]
fn cannot_connect(socket: &Path, error: &std::io::Error) -> Failure {
    let socket = socket.display();
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        return Failure::unavailable(format!("permission denied on {socket}")).help(
            "run this as the socket's owner, or permit its group with `mode = \"0660\"` in \
             [listen]",
        );
    }
    Failure::unavailable(format!("no daemon is listening at {socket}: {error}")).help(
        "start one with `keyward serve --config FILE`, name its socket with --socket, or use \
         --config to call without a daemon",
    )
}

async fn request(call: &Call, path: &str) -> Result<Request<Full<Bytes>>, Failure> {
    if !call.path.starts_with('/') {
        return Err(invalid(&format!("the path {:?} does not start with a slash", call.path)));
    }
    let mut request = Request::builder().method(call.method.as_bytes()).uri(path);
    for field in &call.header {
        let malformed = || invalid("a header field must have the form `name: value`");
        let (name, value) = field.split_once(':').ok_or_else(malformed)?;
        request = request.header(name.trim(), value.trim());
    }
    let body = body(call.data.as_deref()).await?;
    let has_type = request.headers_ref().is_some_and(|fields| fields.contains_key(CONTENT_TYPE));
    if !has_type && is_json(&body) {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    request.body(Full::new(body)).map_err(|error| invalid(&format!("invalid request: {error}")))
}

/// Whether a body is a JSON object or array.
fn is_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
        && serde_json::from_slice::<serde_json::Value>(body).is_ok()
}

fn invalid(message: &str) -> Failure {
    Failure::usage(message).help("see `keyward call --help`")
}

async fn body(data: Option<&str>) -> Result<Bytes, Failure> {
    let Some(data) = data else { return Ok(Bytes::new()) };
    match data.strip_prefix('@') {
        None => Ok(Bytes::copy_from_slice(data.as_bytes())),
        Some("-") => {
            let mut bytes = Vec::new();
            tokio::io::stdin().read_to_end(&mut bytes).await.map_err(Failure::system)?;
            Ok(bytes.into())
        }
        Some(file) => match tokio::fs::read(file).await {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) => Err(Failure::system(format!("cannot read {file}: {error}"))),
        },
    }
}

/// Prints the response as it arrives, and returns its status.
async fn print<B>(call: &Call, response: Response<B>) -> Result<u16, Failure>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let (parts, mut body) = response.into_parts();
    let mut stdout = tokio::io::stdout();
    if call.include {
        let mut head = format!("HTTP/1.1 {}\r\n", parts.status);
        for (name, value) in &parts.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stdout.write_all(format!("{head}\r\n").as_bytes()).await.map_err(Failure::output)?;
    }
    let mut file = match &call.output {
        Some(path) => Some((create(path).await?, path)),
        None => None,
    };
    let mut last = None;
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| Failure::unavailable(format!("the response was aborted: {error}")))?;
        let data = frame.into_data().unwrap_or_default();
        match &mut file {
            Some((file, path)) => {
                file.write_all(&data).await.map_err(|error| cannot_write(path, &error))?;
            }
            None => stdout.write_all(&data).await.map_err(Failure::output)?,
        }
        last = data.last().copied().or(last);
    }
    match &mut file {
        Some((file, path)) => {
            file.flush().await.map_err(|error| cannot_write(path, &error))?;
        }
        // In a terminal, the prompt starts on a new line. Piped output is exact.
        None if last.is_some_and(|byte| byte != b'\n') && std::io::stdout().is_terminal() => {
            stdout.write_all(b"\n").await.map_err(Failure::output)?;
        }
        None => {}
    }
    stdout.flush().await.map_err(Failure::output)?;
    Ok(parts.status.as_u16())
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::system(format!("cannot write {}: {error}", path.display()))
}

async fn create(path: &Path) -> Result<tokio::fs::File, Failure> {
    tokio::fs::File::create(path).await.map_err(|error| cannot_write(path, &error))
}
