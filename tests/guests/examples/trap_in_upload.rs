//! Traps in the middle of an upload. The service must not accept it as complete.

use guests::bindings::wasi::http::outgoing_handler;
use guests::bindings::wasi::http::types::{Fields, Method, OutgoingRequest, Scheme};
use guests::{VAULT, surrogate};

guests::handler!(|_request, _out| {
    let fields = Fields::new();
    let _ = fields.append("authorization", format!("Bearer {}", surrogate()).as_bytes());
    let request = OutgoingRequest::new(fields);
    let _ = request.set_method(&Method::Put);
    let _ = request.set_scheme(Some(&Scheme::Https));
    let _ = request.set_authority(Some(VAULT));
    let _ = request.set_path_with_query(Some("/secrets/half?api-version=7.4"));
    let body = request.body();
    let _answer = outgoing_handler::handle(request, None);
    if let Ok(body) = &body {
        let _ = guests::write(body, b"{\"value\": \"whole by itself\"}");
    }
    std::process::abort();
});
