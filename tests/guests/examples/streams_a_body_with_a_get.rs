//! Sends a GET that is allowed, announces no body, and then writes one. The caller's `x-empty` says
//! that it ends the body without writing to it.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::bindings::wasi::http::types::OutgoingBody;
use guests::{Attempt, describe, header, surrogate};

guests::attack!(attack);

fn attack(request: &IncomingRequest) -> String {
    let wanted = Attempt::get("/secrets/db?api-version=7.4");
    let (answer, body) = match wanted.authorized(&surrogate()).start_upload() {
        Ok(started) => started,
        Err(error) => return error,
    };
    if header(request, "x-empty").is_none() {
        let _ = guests::write(&body, b"{\"delete\":true}");
    }
    let _ = OutgoingBody::finish(body, None);
    describe(&answer)
}
