//! Returns a shared access signature for the resource in `x-body`, which its caller may not have.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::bindings::exports::wasi::http::incoming_handler::ResponseOutparam;
use guests::bindings::wasi::http::types::{Fields, OutgoingBody, OutgoingResponse};
use guests::sas::{request_from_arm, sas};

guests::handler!("../exporting.toml", |request, out| {
    answer(&request, out);
});

/// Answers with the signature alone: a response that hands out a value is short.
fn answer(request: &IncomingRequest, out: ResponseOutparam) {
    let text = sas(&request_from_arm(request, &[]));
    let response = OutgoingResponse::new(Fields::new());
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    drop(guests::write(&body, text.as_bytes()));
    drop(OutgoingBody::finish(body, None));
}
