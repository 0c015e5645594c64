//! `keyward reload`, `status`, `wait` and `stop`: control a running daemon at its admin socket.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::IF_MATCH;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::Value;

use super::daemon_client::{Exchanged, control_within};
use crate::admin::{READINESS_PATH, RELOAD_PATH, STATUS_PATH, STOP_PATH};
use crate::cli::{AdminPlace, Format, Reload, Status, Stop, Wait};
use crate::config::DaemonConfig;
use crate::exit::{Exit, Failure};
use crate::output::{plural, print_line};

/// How long a reload may take: it compiles new plugins, each of which takes seconds.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(300);

/// How long the daemon may take to respond to another request.
const TIMEOUT: Duration = Duration::from_secs(8);

/// How often `wait` and `stop` look.
const POLL: Duration = Duration::from_millis(50);

/// The admin socket.
fn socket(place: AdminPlace) -> Result<PathBuf, Failure> {
    if let Some(socket) = place.socket {
        return Ok(socket);
    }
    let config = place.config.ok_or_else(|| Failure::usage("--config is missing"))?;
    DaemonConfig::load(&config)?.admin.ok_or_else(|| {
        let failure = Failure::config(format!("{} has no admin socket", config.display()));
        failure.help(
            "write `socket` in [admin] and restart the daemon; SIGHUP reloads its configuration \
             without one",
        )
    })
}

fn request(method: Method, path: &str) -> Result<Request<Full<Bytes>>, Failure> {
    let request = Request::builder().method(method).uri(path).body(Full::default());
    request.map_err(Failure::software)
}

fn no_daemon(socket: &std::path::Path) -> Failure {
    let failure = Failure::unavailable(format!("no daemon is listening at {}", socket.display()));
    failure.help("start it with `keyward serve`, or name its admin socket with --socket")
}

/// Sends a request, and returns the response's JSON.
async fn send(
    socket: &std::path::Path,
    request: Request<Full<Bytes>>,
    time: Duration,
) -> Result<Value, Failure> {
    match control_within(time, socket, request).await? {
        Exchanged::Answer(answer) => Ok(answer),
        Exchanged::NoDaemon => Err(no_daemon(socket)),
        Exchanged::Silent(reason) => Err(Failure::unavailable(format!(
            "no response from the daemon at {}: {reason}",
            socket.display()
        ))),
        Exchanged::Refused { kind, detail, .. } => Err(match kind.as_str() {
            "invalid-configuration" => Failure::config(detail),
            "needs-restart" => Failure::config(detail).help("restart the daemon"),
            "other-configuration" => Failure::unavailable(detail)
                .help("look at what has changed, and use the digest that `keyward status` prints"),
            _ => Failure::unavailable(detail),
        }),
    }
}

pub(crate) async fn reload(reload: Reload) -> Result<Exit, Failure> {
    let socket = socket(reload.place)?;
    let mut request = request(Method::POST, RELOAD_PATH)?;
    if let Some(digest) = reload.if_match {
        let tag = http::HeaderValue::try_from(format!("\"{digest}\""));
        let tag = tag.map_err(|_| Failure::usage("the digest of --if-match is malformed"))?;
        request.headers_mut().insert(IF_MATCH, tag);
    }
    let report = send(&socket, request, RELOAD_TIMEOUT).await?;
    match reload.format {
        Format::Json => print_line(&report.to_string())?,
        Format::Table => report_reload(&report)?,
    }
    Ok(Exit::Success)
}

fn strings<'v>(value: &'v Value, path: &str) -> Vec<&'v str> {
    let found = value.pointer(path).and_then(Value::as_array);
    found.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn text<'v>(value: &'v Value, path: &str) -> &'v str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn report_reload(report: &Value) -> Result<(), Failure> {
    let is_unchanged = report.get("unchanged").and_then(Value::as_bool).unwrap_or_default();
    print_line(if is_unchanged {
        "reloaded; mounts, identities and callers are as they were"
    } else {
        "reloaded"
    })?;
    for (kind, singular) in [("mounts", "mount"), ("identities", "identity")] {
        for change in ["added", "changed", "removed"] {
            for name in strings(report, &format!("/{kind}/{change}")) {
                print_line(&format!("{change}: {singular} `{name}`"))?;
            }
        }
        if !is_unchanged {
            let kept = strings(report, &format!("/{kind}/unchanged"));
            if !kept.is_empty() {
                print_line(&format!("unchanged: {kind} {}", kept.join(", ")))?;
            }
        }
    }
    for (flag, what) in [
        ("callers_changed", "changed: the sections [caller.NAME]"),
        ("trust_anchors_changed", "changed: the trust anchors for services"),
    ] {
        if report.get(flag).and_then(Value::as_bool) == Some(true) {
            print_line(what)?;
        }
    }
    for file in strings(report, "/read_again") {
        print_line(&format!("read again: {file}"))?;
    }
    for part in strings(report, "/needs_restart") {
        print_line(&format!("needs a restart, and is as it was: {part}"))?;
    }
    if let Some(error) = report.get("audit_file_error").and_then(Value::as_str) {
        print_line(&format!("the audit's file could not be opened again: {error}"))?;
    }
    print_line(&format!("configuration {}", text(report, "/digest")))
}

pub(crate) async fn status(status: Status) -> Result<Exit, Failure> {
    let socket = socket(status.place)?;
    let answer = send(&socket, request(Method::GET, STATUS_PATH)?, TIMEOUT).await?;
    match status.format {
        Format::Json => print_line(&answer.to_string())?,
        Format::Table => report_status(&answer)?,
    }
    Ok(Exit::Success)
}

fn report_status(status: &Value) -> Result<(), Failure> {
    let number = |value: &Value, name: &str| {
        let number = value.get(name).and_then(Value::as_u64).unwrap_or_default();
        usize::try_from(number).unwrap_or(usize::MAX)
    };
    print_line(&format!(
        "{}: Keyward {}, process {}, since {}",
        text(status, "/state"),
        text(status, "/version"),
        number(status, "pid"),
        text(status, "/since")
    ))?;
    print_line(&format!(
        "configuration {} of {}, loaded {}",
        text(status, "/configuration/digest"),
        text(status, "/configuration/file"),
        text(status, "/configuration/loaded")
    ))?;
    let failed = text(status, "/configuration/failed_reload/message");
    if !failed.is_empty() {
        let time = text(status, "/configuration/failed_reload/time");
        print_line(&format!("the reload at {time} failed: {failed}"))?;
    }
    for address in strings(status, "/listeners") {
        print_line(&format!("listening at {address}"))?;
    }
    for mount in status.get("mounts").and_then(Value::as_array).into_iter().flatten() {
        let calls = number(mount, "calls");
        print_line(&format!(
            "mount {}: {}, {} of them waiting, at most {} at once",
            text(mount, "/name"),
            plural(calls, "call", "calls"),
            number(mount, "waiting"),
            number(mount, "concurrency")
        ))?;
    }
    for lock in strings(status, "/locks") {
        print_line(&format!("{lock} is locked"))?;
    }
    Ok(())
}

pub(crate) async fn wait(wait: Wait) -> Result<Exit, Failure> {
    let socket = socket(wait.place)?;
    let began = Instant::now();
    loop {
        let ready = send(&socket, request(Method::GET, READINESS_PATH)?, TIMEOUT).await;
        match ready {
            Ok(_) => return Ok(Exit::Success),
            Err(failure) if began.elapsed() >= wait.timeout => {
                let time = humantime::format_duration(wait.timeout);
                let reason = failure.message();
                return Err(Failure::unavailable(format!("not ready after {time}: {reason}")));
            }
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

pub(crate) async fn stop(stop: Stop) -> Result<Exit, Failure> {
    let socket = socket(stop.place)?;
    let status = send(&socket, request(Method::GET, STATUS_PATH)?, TIMEOUT).await?;
    send(&socket, request(Method::POST, STOP_PATH)?, TIMEOUT).await?;
    // Another daemon may listen there right afterwards, with another process id.
    let pid = status.get("pid").cloned();
    loop {
        match control_within(TIMEOUT, &socket, request(Method::GET, STATUS_PATH)?).await? {
            Exchanged::NoDaemon => return Ok(Exit::Success),
            Exchanged::Answer(answer) if answer.get("pid") != pid.as_ref() => {
                return Ok(Exit::Success);
            }
            Exchanged::Answer(_) | Exchanged::Silent(_) | Exchanged::Refused { .. } => {
                tokio::time::sleep(POLL).await;
            }
        }
    }
}
