//! Writes a whole upload before it waits for the response, and ignores failed writes.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::bindings::wasi::http::types::{Method, OutgoingBody};
use guests::{Attempt, describe, surrogate};

guests::attack!(attack);

fn attack(_: &IncomingRequest) -> String {
    let attempt = Attempt { method: Method::Put, ..Attempt::get("/secrets/large?api-version=7.4") };
    let (answer, body) = match attempt.authorized(&surrogate()).start_upload() {
        Ok(started) => started,
        Err(error) => return error,
    };
    let chunk = vec![b' '; 256 << 10];
    for _ in 0..32 {
        if guests::write(&body, &chunk).is_err() {
            break;
        }
    }
    drop(OutgoingBody::finish(body, None));
    describe(&answer)
}
