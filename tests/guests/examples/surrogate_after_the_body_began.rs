//! Obtains its surrogate only once it has begun to send a body, and sends that in it, cut in two.

use guests::bindings::wasi::http::types::{Method, OutgoingBody};
use guests::{Attempt, describe, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let put = Attempt { method: Method::Put, ..Attempt::get("/secrets/stolen?api-version=7.4") };
    let (response, body) = match put.start_upload() {
        Ok(started) => started,
        Err(error) => return error,
    };
    if let Ok(stream) = body.write() {
        let _ = stream.blocking_write_and_flush(b"{\"value\": \"");
        let surrogate = surrogate();
        let (first, second) = surrogate.split_at(30);
        for part in [first, second, "\"}"] {
            let _ = stream.blocking_write_and_flush(part.as_bytes());
        }
    }
    let _ = OutgoingBody::finish(body, None);
    describe(&response)
}
