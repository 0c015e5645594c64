//! Requests to the daemon itself, under `/-/`: only over its Unix socket, and only from its own user or root.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use keyward::identity::Audience;
use keyward::{Body, Broker, Caller, problem};
use serde_json::{Value, json};

use super::linger::Watched;

/// What the paths of these requests begin with. No mount has such a name.
pub(super) const PREFIX: &str = "/-/";

/// `POST` of `{"identity": NAME, "audience": AUDIENCE}`; all audiences where none is named.
pub(crate) const FORGET: &str = "/-/tokens/forget";

/// The longest body of such a request.
const LONGEST: usize = 16 << 10;

pub(super) async fn answer(broker: &Broker, caller: &Caller, request: Request<Watched>) -> Response<Body> {
    if !may_control(caller) {
        let detail = "only the daemon's own user and root may do this, over the Unix socket";
        return problem(StatusCode::FORBIDDEN, "not-allowed", "Permission denied", detail);
    }
    if request.uri().path() != FORGET {
        let detail = format!("the daemon itself has {FORGET} and nothing else");
        return problem(StatusCode::NOT_FOUND, "unknown-path", "Unknown path", &detail);
    }
    if request.method() != Method::POST {
        let detail = "use POST";
        return problem(StatusCode::METHOD_NOT_ALLOWED, "bad-request", "The method is not allowed", detail);
    }
    match forget(broker, request).await {
        Ok(response) => response,
        Err(detail) => problem(StatusCode::BAD_REQUEST, "bad-request", "The request cannot be used", &detail),
    }
}

/// Whether a caller is the daemon's own user, or root.
#[cfg(unix)]
fn may_control(caller: &Caller) -> bool {
    let own = rustix::process::geteuid().as_raw();
    if let Caller::Process { uid, .. } = caller { *uid == 0 || *uid == own } else { false }
}

#[cfg(not(unix))]
fn may_control(_: &Caller) -> bool {
    false
}

async fn forget(broker: &Broker, request: Request<Watched>) -> Result<Response<Body>, String> {
    let body = Limited::new(request.into_body(), LONGEST).collect().await.map_err(|error| error.to_string())?;
    let wanted: Value = serde_json::from_slice(&body.to_bytes()).map_err(|error| error.to_string())?;
    let identity = wanted.get("identity").and_then(Value::as_str).ok_or("`identity` is missing")?;
    let audience = match wanted.get("audience") {
        None | Some(Value::Null) => None,
        Some(audience) => {
            let text = audience.as_str().ok_or("`audience` must be a string")?;
            Some(Audience::new(text).map_err(|error| format!("`audience`: {error}"))?)
        }
    };
    match broker.forget_tokens(identity, audience.as_ref()).await {
        Ok(Some(forgotten)) => {
            let audiences: Vec<&str> = forgotten.iter().map(Audience::as_str).collect();
            let mut response = Response::new(Body::whole(Bytes::from(json!({ "forgotten": audiences }).to_string())));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok(response)
        }
        Ok(None) => {
            let detail = format!("the daemon has no identity `{identity}`");
            Ok(problem(StatusCode::NOT_FOUND, "unknown-identity", "Unknown identity", &detail))
        }
        Err(error) => {
            let detail = format!("the tokens are gone from memory, but not from the disk: {error}");
            Ok(problem(StatusCode::INTERNAL_SERVER_ERROR, "disk", "The tokens could not be written", &detail))
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_the_daemons_user_and_root_control_it() {
        let process = |uid| Caller::Process { uid, gid: 0, pid: None };
        let own = rustix::process::geteuid().as_raw();
        assert!(may_control(&process(0)) && may_control(&process(own)));
        assert!(!may_control(&process(own + 1)));
        assert!(!may_control(&Caller::Anybody { peer: "127.0.0.1:1".parse().unwrap() }));
        assert!(!may_control(&Caller::named("root")));
    }
}
