//! Answers with a body that never ends.

use guests::bindings::wasi::http::types::{Fields, OutgoingResponse, ResponseOutparam};

guests::handler!(|_request, out| {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body();
    ResponseOutparam::set(out, Ok(response));
    let Ok(body) = body else { return };
    guests::write_without_end(&body);
});
