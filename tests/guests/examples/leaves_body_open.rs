//! Sends half of the response's body, leaves it open, and ends without an error.

use guests::bindings::wasi::http::types::{Fields, OutgoingResponse, ResponseOutparam};

guests::handler!(|_request, out| {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body();
    ResponseOutparam::set(out, Ok(response));
    if let Ok(body) = body {
        let _ = guests::write(&body, b"the beginning");
        std::mem::forget(body);
    }
});
