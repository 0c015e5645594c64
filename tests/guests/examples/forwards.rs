//! Passes requests and responses on with the interface `forwarding`, in ways that the caller
//! chooses by header fields.

use guests::bindings::exports::wasi::http::incoming_handler::{IncomingRequest, ResponseOutparam};
use guests::bindings::keyward::broker::forwarding::{
    self, Body, Change, Outgoing, Received, RequestHead,
};
use guests::bindings::wasi::http::types::{ErrorCode, IncomingResponse};
use guests::{VAULT, header, surrogate};

guests::handler!(|request, out| {
    act(&request, out);
});

fn act(request: &IncomingRequest, out: ResponseOutparam) {
    let RequestHead { has_body, .. } = forwarding::head_of(request);
    let named = |name: &str| header(request, name).unwrap_or_default();
    let base = (!request.headers().has("x-own-fields")).then_some(request);
    if named("x-first") == "read" {
        let body = request.consume().expect("a body");
        let stream = body.stream().expect("a stream");
        let _ = stream.blocking_read(1);
    }
    let first = forwarding::forward(base, &outgoing(request, has_body));
    let received = match named("x-first").as_str() {
        "send" => forwarding::forward(base, &outgoing(request, has_body)),
        "many" => many(request),
        _ => first,
    };
    match received {
        Ok(received) => reply(request, &received, out),
        Err(code) => guests::respond(out, &format!("error {code:?}")),
    }
}

/// Sends requests until one is refused.
fn many(request: &IncomingRequest) -> Result<Received, ErrorCode> {
    loop {
        forwarding::forward(Some(request), &outgoing(request, false))?;
    }
}

/// The request that the caller wants sent.
fn outgoing(request: &IncomingRequest, has_body: bool) -> Outgoing {
    let RequestHead { method, path_with_query, .. } = forwarding::head_of(request);
    let named = |name: &str| header(request, name).unwrap_or_default();
    let surrogate = surrogate();
    let placed = |name: &str| named(name).replace("SURROGATE", &surrogate);
    let mut changes = vec![Change::Set(("authorization".to_owned(), {
        format!("Bearer {surrogate}").into_bytes()
    }))];
    if let Some(field) = header(request, "x-set") {
        let (name, value) = field.split_once('=').unwrap_or((&field, ""));
        let value = value.replace("SURROGATE", &surrogate);
        changes.push(Change::Set((name.to_owned(), value.into_bytes())));
    }
    if let Some(field) = header(request, "x-append") {
        let (name, value) = field.split_once('=').unwrap_or((&field, ""));
        changes.push(Change::Append((name.to_owned(), value.as_bytes().to_vec())));
    }
    if let Some(name) = header(request, "x-remove") {
        changes.push(Change::Remove(name));
    }
    if let Some(bytes) = header(request, "x-large").and_then(|bytes| bytes.parse().ok()) {
        changes.push(Change::Set(("x-filler".to_owned(), vec![b'x'; bytes])));
    }
    let body = match named("x-body").as_str() {
        "empty" => Body::Empty,
        "" if has_body => Body::Unchanged,
        "" => Body::Empty,
        "unchanged" => Body::Unchanged,
        "large" => Body::Bytes(vec![b'x'; 4 << 20]),
        _ => Body::Bytes(placed("x-body").into_bytes()),
    };
    let or = |name: &str, default: &str| match placed(name) {
        value if value.is_empty() => default.to_owned(),
        value => value,
    };
    Outgoing {
        method,
        authority: or("x-authority", VAULT),
        path_with_query: or("x-path", &path_with_query),
        changes,
        body,
    }
}

/// Replies in the way that the caller wants.
fn reply(request: &IncomingRequest, received: &Received, out: ResponseOutparam) {
    let named = |name: &str| header(request, name).unwrap_or_default();
    let response: &IncomingResponse = &received.response;
    let status = named("x-status").parse().unwrap_or(received.status);
    let mut changes = Vec::new();
    if let Some(field) = header(request, "x-reply-set") {
        let (name, value) = field.split_once('=').unwrap_or((&field, ""));
        changes.push(Change::Set((name.to_owned(), value.as_bytes().to_vec())));
    }
    let whole = |body, out| forwarding::reply(None, status, &[], &body, out);
    match named("x-reply").as_str() {
        "bytes" => whole(Body::Bytes(b"of the plugin".to_vec()), out),
        "empty" => whole(Body::Empty, out),
        "unchanged-of-nothing" => whole(Body::Unchanged, out),
        "read" => {
            let body = response.consume().expect("a body");
            let stream = body.stream().expect("a stream");
            let _ = stream.blocking_read(1);
            forwarding::reply(Some(response), status, &changes, &Body::Unchanged, out);
        }
        "trap" => {
            forwarding::reply(Some(response), status, &changes, &Body::Unchanged, out);
            std::process::abort();
        }
        "loop" => {
            forwarding::reply(Some(response), status, &changes, &Body::Unchanged, out);
            loop {
                std::hint::spin_loop();
            }
        }
        "log" => {
            forwarding::reply(Some(response), status, &changes, &Body::Unchanged, out);
            keyward_plugin::log("after the reply");
        }
        "describe" => {
            let mut text = format!("status {}\n", received.status);
            for (name, value) in response.headers().entries() {
                text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(&value)));
            }
            guests::respond(out, &text);
        }
        _ => forwarding::reply(Some(response), status, &changes, &Body::Unchanged, out),
    }
}
