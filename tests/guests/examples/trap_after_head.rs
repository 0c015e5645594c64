//! Traps in the middle of its response.

use guests::bindings::wasi::http::types::{Fields, OutgoingResponse, ResponseOutparam};

guests::handler!(|_request, out| {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body();
    ResponseOutparam::set(out, Ok(response));
    if let Ok(body) = &body {
        let _ = guests::write(body, b"the beginning");
    }
    std::process::abort();
});
