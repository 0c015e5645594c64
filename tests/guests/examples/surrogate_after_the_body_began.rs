//! Obtains its surrogate only once it has begun to send a body, and sends that in it, cut in two.

use guests::bindings::wasi::http::outgoing_handler;
use guests::bindings::wasi::http::types::{Fields, Method, OutgoingBody, OutgoingRequest, Scheme};
use guests::{VAULT, describe, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let request = OutgoingRequest::new(Fields::new());
    let _ = request.set_method(&Method::Put);
    let _ = request.set_scheme(Some(&Scheme::Https));
    let _ = request.set_authority(Some(VAULT));
    let _ = request.set_path_with_query(Some("/secrets/stolen?api-version=7.4"));
    let Ok(body) = request.body() else { return "no body".to_owned() };
    let answer = match outgoing_handler::handle(request, None) {
        Ok(answer) => answer,
        Err(code) => return guests::refused(&code),
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
    describe(&answer)
}
