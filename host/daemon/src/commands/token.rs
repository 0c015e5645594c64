//! `keyward token forget`: removes cached tokens.

use std::path::Path;

use http::Method;
use keyward::identity::Audience;
use keyward::{ForgetError, Plan, forget_persisted_tokens};
use serde_json::{Value, json};

use super::daemon_client::{Controlled, control};
use crate::cli::{Forget, Token};
use crate::config::DaemonConfig;
use crate::exit::{Exit, Failure};
use crate::listen::FORGET_TOKENS_PATH;
use crate::output::print_line;

pub(crate) async fn token(token: Token) -> Result<Exit, Failure> {
    match token {
        Token::Forget(forget) => self::forget(&forget).await,
    }
}

/// The outcome of a request to the daemon.
enum Outcome {
    /// The daemon removed the tokens for these audiences.
    Forgotten(Vec<String>),
    /// No daemon is running.
    NoDaemon,
}

async fn forget(forget: &Forget) -> Result<Exit, Failure> {
    let config = DaemonConfig::load(&forget.config)?;
    if !config.broker.identities.contains_key(&forget.identity) {
        let known = config.broker.identities.keys().cloned().collect();
        return Err(Failure::config(ForgetError::UnknownIdentity {
            name: forget.identity.clone(),
            known,
        }));
    }
    let (plan, listen, _) = config.plan()?;
    let audience = forget.audience.as_deref().map(Audience::new).transpose();
    let audience =
        audience.map_err(|error| Failure::config(format!("invalid audience: {error}")))?;
    let socket = forget.socket.clone().or(listen.socket);
    let Some(socket) = socket else {
        eprintln!(
            "keyward: this configuration has no Unix socket; a daemon that is running with it \
             keeps its tokens in memory, and writes them to disk again"
        );
        return on_disk(forget, &plan, audience.as_ref());
    };
    match request(&socket, &forget.identity, audience.as_ref()).await? {
        Outcome::Forgotten(audiences) => {
            report(forget, "", audiences.iter().map(String::as_str))?;
            Ok(Exit::Success)
        }
        Outcome::NoDaemon => {
            eprintln!("keyward: no daemon is listening at {}", socket.display());
            on_disk(forget, &plan, audience.as_ref())
        }
    }
}

/// Removes tokens from disk, without a daemon.
fn on_disk(forget: &Forget, plan: &Plan, audience: Option<&Audience>) -> Result<Exit, Failure> {
    match forget_persisted_tokens(plan, &forget.identity, audience) {
        Ok(Some(audiences)) => report(forget, " on disk", audiences.iter().map(Audience::as_str))?,
        Ok(None) => {
            let identity = &forget.identity;
            print_line(&format!("`{identity}` has no `persist`, so no tokens are on disk"))?;
        }
        Err(error @ ForgetError::Disk(_)) => return Err(Failure::system(error)),
        Err(
            error @ (ForgetError::UnknownIdentity { .. }
            | ForgetError::NoSource { .. }
            | ForgetError::NoKey { .. }),
        ) => {
            let failure = Failure::config(&error);
            return Err(match error.help() {
                Some(help) => failure.help(help),
                None => failure,
            });
        }
    }
    Ok(Exit::Success)
}

fn report<'a>(
    forget: &Forget,
    place: &str,
    audiences: impl Iterator<Item = &'a str>,
) -> Result<(), Failure> {
    let audiences: Vec<&str> = audiences.collect();
    let identity = &forget.identity;
    print_line(&match audiences.len() {
        0 => format!("`{identity}` has no such token{place}"),
        1 => format!("forgot the token of `{identity}`{place} for {}", audiences.join(", ")),
        count => {
            let audiences = audiences.join(", ");
            format!("forgot {count} tokens of `{identity}`{place}, for {audiences}")
        }
    })
}

async fn request(
    socket: &Path,
    identity: &str,
    audience: Option<&Audience>,
) -> Result<Outcome, Failure> {
    let body = json!({ "identity": identity, "audience": audience.map(Audience::as_str) });
    let body = match control(socket, Method::POST, FORGET_TOKENS_PATH, Some(body)).await? {
        Controlled::Answer(body) => body,
        Controlled::NoDaemon => return Ok(Outcome::NoDaemon),
        Controlled::Silent(reason) => {
            let socket = socket.display();
            return Err(Failure::unavailable(format!("no response from {socket}: {reason}")));
        }
    };
    let forgotten = body.get("forgotten").and_then(Value::as_array);
    let forgotten = forgotten.ok_or_else(|| Failure::software("response without `forgotten`"))?;
    let audiences = forgotten.iter().filter_map(Value::as_str).map(str::to_owned);
    Ok(Outcome::Forgotten(audiences.collect()))
}
