//! Puts its surrogate into the trailers of a request.

use guests::bindings::wasi::http::types::{Fields, Method, OutgoingBody};
use guests::{Attempt, describe, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let surrogate = surrogate();
    let wanted = Attempt { method: Method::Put, ..Attempt::get("/secrets/new?api-version=7.4") };
    let wanted = wanted.authorized(&surrogate).header("content-type", "application/json");
    let (answer, body) = match wanted.start_upload() {
        Ok(started) => started,
        Err(error) => return error,
    };
    let _ = guests::write(&body, b"{\"value\":\"x\"}");
    let trailers = Fields::new();
    let _ = trailers.append("x-stolen", surrogate.as_bytes());
    let _ = OutgoingBody::finish(body, Some(trailers));
    describe(&answer)
}
