//! Control requests to the daemon itself, under `/-/`. They are allowed only over the Unix socket,
//! and only for the daemon's own user and root.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use keyward::identity::Audience;
use keyward::{Body, Broker, Caller, Rejection, problem};
use serde_json::{Value, json};

use super::control_locks;
use super::json_response::json_response;
use super::linger::TrackedBody;
use crate::lock_store::LockStore;

/// The prefix of their paths. No mount can have this name.
pub(super) const PATH_PREFIX: &str = "/-/";

/// `POST` of `{"identity": NAME, "audience": AUDIENCE}`. Without `audience`, it applies to all
/// audiences.
pub(crate) const FORGET_TOKENS_PATH: &str = "/-/tokens/forget";

/// `POST` of `{"target": TARGET, "reason": TEXT}`, where `TARGET` is `"all"`, `{"mount": NAME}`,
/// `{"caller": NAME}` or `{"identity": NAME}`.
pub(crate) const LOCK_PATH: &str = "/-/lock";

/// `POST` of the same.
pub(crate) const UNLOCK_PATH: &str = "/-/unlock";

/// `GET` of the locks.
pub(crate) const LOCKS_PATH: &str = "/-/locks";

/// The size limit of a request's body, in bytes.
const MAX_BODY_BYTES: usize = 16 << 10;

pub(super) async fn respond(
    broker: &Broker,
    locks: &LockStore,
    caller: &Caller,
    request: Request<TrackedBody>,
) -> Result<Response<Body>, Rejection> {
    if !may_control(caller) {
        let detail = "only the daemon's own user and root may send this, over the Unix socket";
        let title = "Permission denied";
        return Err(Rejection::denied(
            StatusCode::FORBIDDEN,
            "not-allowed",
            title,
            "control",
            detail,
        ));
    }
    let path = request.uri().path().to_owned();
    let method = match path.as_str() {
        FORGET_TOKENS_PATH | LOCK_PATH | UNLOCK_PATH => Method::POST,
        LOCKS_PATH => Method::GET,
        _ => {
            let detail = format!(
                "the paths under {PATH_PREFIX} are {FORGET_TOKENS_PATH}, {LOCK_PATH}, \
                 {UNLOCK_PATH} and {LOCKS_PATH}"
            );
            return Err(Rejection::failed(
                StatusCode::NOT_FOUND,
                "unknown-path",
                "Unknown path",
                detail,
            ));
        }
    };
    if request.method() != method {
        let title = "The method is not allowed";
        return Err(Rejection::failed(
            StatusCode::METHOD_NOT_ALLOWED,
            "bad-request",
            title,
            format!("use {method}"),
        ));
    }
    let body = read_body(request).await.map_err(Rejection::malformed)?;
    let response = match path.as_str() {
        LOCK_PATH => control_locks::lock(locks, caller, &body).await,
        UNLOCK_PATH => control_locks::unlock(locks, caller, &body).await,
        LOCKS_PATH => Ok(control_locks::list(broker, locks)),
        _ => forget_tokens(broker, &body).await,
    };
    response.map_err(Rejection::malformed)
}

/// Reads the body of a request. The error is the `detail` of an invalid one.
async fn read_body(request: Request<TrackedBody>) -> Result<Bytes, String> {
    let body = Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await;
    Ok(body.map_err(|error| error.to_string())?.to_bytes())
}

/// Whether a caller is the daemon's own user or root.
#[cfg(unix)]
pub(crate) fn may_control(caller: &Caller) -> bool {
    let own = rustix::process::geteuid().as_raw();
    let proof = caller.proof();
    let is_at_socket = proof.peer.is_none() && proof.embedded.is_none();
    is_at_socket && proof.uid.is_some_and(|uid| uid == 0 || uid == own)
}

#[cfg(not(unix))]
pub(crate) fn may_control(_: &Caller) -> bool {
    false
}

/// Handles [`FORGET_TOKENS_PATH`]. The error is the `detail` of an invalid request.
async fn forget_tokens(broker: &Broker, body: &[u8]) -> Result<Response<Body>, String> {
    let body: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let identity = body.get("identity").and_then(Value::as_str).ok_or("`identity` is missing")?;
    let audience = match body.get("audience") {
        None | Some(Value::Null) => None,
        Some(audience) => {
            let audience = audience.as_str().ok_or("`audience` must be a string")?;
            Some(Audience::new(audience).map_err(|error| format!("`audience`: {error}"))?)
        }
    };
    match broker.forget_tokens(identity, audience.as_ref()).await {
        Ok(Some(forgotten)) => {
            let audiences: Vec<&str> = forgotten.iter().map(Audience::as_str).collect();
            Ok(json_response(&json!({ "forgotten": audiences })))
        }
        Ok(None) => {
            let detail = format!("the daemon has no identity `{identity}`");
            Ok(problem(StatusCode::NOT_FOUND, "unknown-identity", "Unknown identity", &detail))
        }
        Err(error) => {
            let detail = format!("the tokens were removed from memory, but not from disk: {error}");
            let title = "Cannot write the token file";
            Ok(problem(StatusCode::INTERNAL_SERVER_ERROR, "disk", title, &detail))
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use keyward::caller::Proof;

    use super::*;

    #[test]
    fn only_the_daemons_own_user_and_root_may_control_it() {
        let process = |uid| Caller::from(Proof { uid: Some(uid), ..Proof::default() });
        let own = rustix::process::geteuid().as_raw();
        assert!(may_control(&process(0)) && may_control(&process(own)));
        assert!(!may_control(&process(own + 1)));
        let peer = Some("127.0.0.1:1".parse().unwrap());
        let over_tcp = Proof { uid: Some(0), peer, ..Proof::default() };
        assert!(!may_control(&over_tcp.into()));
        assert!(!may_control(&Proof { peer, ..Proof::default() }.into()));
        assert!(!may_control(&Caller::named("root")));
    }
}
