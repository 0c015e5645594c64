//! `keyward token forget`: tokens that are not to be used any more.

use std::path::Path;

use keyward::identity::Audience;
use keyward::{ForgetError, Plan, forget_persisted_tokens};

use crate::cli::{Forget, Token};
use crate::config::DaemonConfig;
use crate::exit::{Exit, Failure};
use crate::output::print_line;

pub(crate) async fn token(token: Token) -> Result<Exit, Failure> {
    match token {
        Token::Forget(forget) => self::forget(&forget).await,
    }
}

/// What a daemon answered.
enum Daemon {
    /// These audiences' tokens are forgotten.
    #[cfg_attr(not(unix), allow(dead_code))]
    Forgot(Vec<String>),
    /// There is none at this socket.
    Absent,
}

async fn forget(forget: &Forget) -> Result<Exit, Failure> {
    let config = DaemonConfig::load(&forget.config)?;
    if !config.broker.identities.contains_key(&forget.identity) {
        let known = config.broker.identities.keys().cloned().collect();
        return Err(Failure::config(ForgetError::UnknownIdentity { name: forget.identity.clone(), known }));
    }
    let (plan, listen, _) = config.plan()?;
    let audience = forget.audience.as_deref().map(Audience::new).transpose();
    let audience = audience.map_err(|error| Failure::config(format!("the audience cannot be used: {error}")))?;
    let socket = forget.socket.clone().or(listen.socket);
    let Some(socket) = socket else {
        eprintln!(
            "keyward: this configuration has no Unix socket; a daemon that runs with it keeps its tokens, in memory and \
             on disk, until it is restarted"
        );
        return on_disk(forget, &plan, audience.as_ref());
    };
    match ask(&socket, &forget.identity, audience.as_ref()).await? {
        Daemon::Forgot(audiences) => {
            report(forget, "", audiences.iter().map(String::as_str))?;
            Ok(Exit::Success)
        }
        Daemon::Absent => {
            eprintln!("keyward: no daemon answers at {}", socket.display());
            on_disk(forget, &plan, audience.as_ref())
        }
    }
}

/// Without a daemon, only what is on disk can be forgotten.
fn on_disk(forget: &Forget, plan: &Plan, audience: Option<&Audience>) -> Result<Exit, Failure> {
    match forget_persisted_tokens(plan, &forget.identity, audience) {
        Ok(Some(audiences)) => report(forget, " on disk", audiences.iter().map(Audience::as_str))?,
        Ok(None) => print_line(&format!("`{}` has no `persist`: none of its tokens are on disk", forget.identity))?,
        Err(error @ ForgetError::Disk(_)) => return Err(Failure::system(error)),
        Err(
            error @ (ForgetError::UnknownIdentity { .. } | ForgetError::NoSource { .. } | ForgetError::NoKey { .. }),
        ) => {
            let help = error.help().map(|help| format!("\n    help:     {help}"));
            return Err(Failure::config(format!("{error}{}", help.unwrap_or_default())));
        }
    }
    Ok(Exit::Success)
}

fn report<'a>(forget: &Forget, place: &str, audiences: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let audiences: Vec<&str> = audiences.collect();
    let identity = &forget.identity;
    print_line(&match audiences.len() {
        0 => format!("`{identity}` has no such token{place}"),
        1 => format!("forgot the token of `{identity}`{place} for {}", audiences.join(", ")),
        count => format!("forgot {count} tokens of `{identity}`{place}, for {}", audiences.join(", ")),
    })
}

#[cfg(unix)]
async fn ask(socket: &Path, identity: &str, audience: Option<&Audience>) -> Result<Daemon, Failure> {
    use std::io::ErrorKind;

    use bytes::Bytes;
    use http::Request;
    use http::header::HOST;
    use http_body_util::{BodyExt, Full};
    use hyper_util::rt::TokioIo;
    use serde_json::{Value, json};

    use crate::listen::FORGET;

    let stream = match tokio::net::UnixStream::connect(socket).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Ok(Daemon::Absent);
        }
        Err(error) => {
            let hint = "run this as the daemon's user or as root";
            return Err(Failure::unavailable(format!("cannot reach {}: {error}; {hint}", socket.display())));
        }
    };
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(Failure::unavailable)?;
    let driver = tokio::spawn(connection);
    let wanted = json!({ "identity": identity, "audience": audience.map(Audience::as_str) });
    let request = Request::post(FORGET).header(HOST, "localhost").body(Full::new(Bytes::from(wanted.to_string())));
    let response = sender.send_request(request.map_err(Failure::software)?).await.map_err(Failure::unavailable)?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(Failure::unavailable)?.to_bytes();
    driver.abort();
    let body: Value = serde_json::from_slice(&body).map_err(Failure::unavailable)?;
    if !status.is_success() {
        let detail = body.get("detail").and_then(Value::as_str).unwrap_or("it says nothing");
        return Err(Failure::unavailable(format!("the daemon answered {status}: {detail}")));
    }
    let forgotten = body.get("forgotten").and_then(Value::as_array).ok_or_else(|| Failure::software("no answer"))?;
    Ok(Daemon::Forgot(forgotten.iter().filter_map(Value::as_str).map(str::to_owned).collect()))
}

#[cfg(not(unix))]
async fn ask(_: &Path, _: &str, _: Option<&Audience>) -> Result<Daemon, Failure> {
    Ok(Daemon::Absent)
}
