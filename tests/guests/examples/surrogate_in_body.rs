//! Sends its surrogate in the body, in two chunks.

use guests::bindings::wasi::http::types::{Method, OutgoingBody};
use guests::{Attempt, describe, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let surrogate = surrogate();
    let put = Attempt { method: Method::Put, ..Attempt::get("/secrets/stolen?api-version=7.4") };
    let (response, body) = match put.authorized(&surrogate).start_upload() {
        Ok(started) => started,
        Err(error) => return error,
    };
    let (first, second) = surrogate.split_at(30);
    if let Ok(stream) = body.write() {
        for part in ["{\"value\": \"", first, second, "\"}"] {
            let _ = stream.blocking_write_and_flush(part.as_bytes());
        }
    }
    let _ = OutgoingBody::finish(body, None);
    describe(&response)
}
