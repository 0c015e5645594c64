//! Sends a GET that is allowed with a body that no rule looks at, and announces its length. The
//! caller's `x-method` may be `HEAD`, and `x-length` the length, in place of the right one.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::bindings::wasi::http::types::Method;
use guests::{Attempt, header, surrogate};

guests::attack!(attack);

fn attack(request: &IncomingRequest) -> String {
    let method = match header(request, "x-method").as_deref() {
        Some("HEAD") => Method::Head,
        _ => Method::Get,
    };
    let length = header(request, "x-length").unwrap_or_else(|| "15".to_owned());
    let body = (length != "0").then_some(b"{\"delete\":true}".as_slice());
    let wanted = Attempt { method, body, ..Attempt::get("/secrets/db?api-version=7.4") };
    wanted.authorized(&surrogate()).header("content-length", length).send()
}
