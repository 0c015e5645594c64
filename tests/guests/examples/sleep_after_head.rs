//! Sends the head of a response, and never ends its body.

use guests::bindings::wasi::clocks::monotonic_clock::subscribe_duration;
use guests::bindings::wasi::http::types::{Fields, OutgoingResponse, ResponseOutparam};

guests::handler!(|_request, out| {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body();
    ResponseOutparam::set(out, Ok(response));
    if let Ok(body) = &body {
        let _ = guests::write(body, b"the beginning");
    }
    subscribe_duration(u64::MAX).block();
});
