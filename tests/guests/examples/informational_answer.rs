//! Answers with the status that the caller's `x-status` names, such as 101.

use guests::bindings::wasi::http::types::{
    Fields, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use guests::header;

guests::handler!(|request, out| {
    let response = OutgoingResponse::new(Fields::new());
    let status = header(&request, "x-status").and_then(|status| status.parse().ok());
    let _ = response.set_status_code(status.unwrap_or(101));
    let body = response.body();
    ResponseOutparam::set(out, Ok(response));
    if let Ok(body) = body {
        let _ = guests::write(&body, b"HTTP/1.1 200 OK\r\n\r\n");
        drop(OutgoingBody::finish(body, None));
    }
});
