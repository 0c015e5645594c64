//! Control requests that lock and unlock.

use http::{Response, StatusCode};
use keyward::{
    Body, Broker, Caller, Lock, LockAction, LockEvent, LockTarget, Locked, UnknownLockTarget,
    problem,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::json_response::json_response;
use crate::lock_store::LockStore;

/// The longest reason, in bytes.
const MAX_REASON_BYTES: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LockRequest {
    target: LockTarget,
    reason: Option<String>,
}

/// Parses the body of a request. The error is the `detail` of an invalid one.
fn parse(body: &[u8]) -> Result<LockRequest, String> {
    let request: LockRequest = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if request.reason.as_ref().is_some_and(|reason| reason.len() > MAX_REASON_BYTES) {
        return Err(format!("`reason` is longer than {MAX_REASON_BYTES} bytes"));
    }
    Ok(request)
}

/// Handles [`LOCK_PATH`](super::control::LOCK_PATH).
pub(super) async fn lock(
    locks: &LockStore,
    caller: &Caller,
    body: &[u8],
) -> Result<Response<Body>, String> {
    let LockRequest { target, reason } = parse(body)?;
    let (store, lock) = (locks.clone(), Lock::new(target, caller, reason));
    // In a task of its own: it goes on if the caller disconnects.
    let locked = tokio::spawn(async move { store.lock(lock).await });
    let (locked, stored) = match locked.await.map_err(|error| error.to_string())? {
        Ok(locked) => locked,
        Err(error) => return Ok(unknown(&error)),
    };
    let Locked { was_locked, calls_ended, calls_stopping, tokens, disk_error, .. } = locked;
    let tokens: Value = tokens
        .into_iter()
        .map(|(identity, audiences)| {
            let audiences: Vec<String> = audiences.iter().map(ToString::to_string).collect();
            (identity, audiences)
        })
        .collect();
    Ok(json_response(&json!({
        "was_locked": was_locked,
        "calls_ended": calls_ended,
        "calls_stopping": calls_stopping,
        "tokens": tokens,
        "token_file_error": disk_error,
        "file": locks.file().map(|file| file.display().to_string()),
        "file_error": stored.err().map(|error| error.to_string()),
    })))
}

/// Handles [`UNLOCK_PATH`](super::control::UNLOCK_PATH).
pub(super) async fn unlock(
    locks: &LockStore,
    caller: &Caller,
    body: &[u8],
) -> Result<Response<Body>, String> {
    let LockRequest { target, reason } = parse(body)?;
    let event = LockEvent::now(LockAction::Unlock, target, caller, reason);
    let store = locks.clone();
    let unlocked = tokio::spawn(async move { store.unlock(&event).await });
    match unlocked.await.map_err(|error| error.to_string())? {
        Ok(unlocked) => Ok(json_response(&json!({ "unlocked": unlocked }))),
        Err(error) => {
            let detail = format!("it stays locked: the file of locks cannot be written: {error}");
            let title = "Cannot write the file of locks";
            Ok(problem(StatusCode::INTERNAL_SERVER_ERROR, "disk", title, &detail))
        }
    }
}

/// Handles [`LOCKS_PATH`](super::control::LOCKS_PATH).
pub(super) fn list(broker: &Broker, locks: &LockStore) -> Response<Body> {
    json_response(&json!({
        "locks": broker.locks(),
        "file": locks.file().map(|file| file.display().to_string()),
    }))
}

fn unknown(error: &UnknownLockTarget) -> Response<Body> {
    let title = "Unknown name";
    problem(StatusCode::NOT_FOUND, "unknown-name", title, &error.to_string())
}
