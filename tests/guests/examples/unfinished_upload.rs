//! Begins an upload, waits for the response, and ends with the upload open. With the caller's
//! `x-leave: response`, its own response is left open too.

use guests::bindings::wasi::http::types::{
    Fields, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use guests::{Attempt, describe, header, surrogate};

guests::handler!(|request, out| {
    let attempt = Attempt { method: Method::Put, ..Attempt::get("/secrets/half?api-version=7.4") };
    let report = match attempt.authorized(&surrogate()).start_upload() {
        Ok((answer, body)) => {
            let _ = guests::write(&body, b"{\"value\": ");
            std::mem::forget(body);
            describe(&answer)
        }
        Err(error) => error,
    };
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body();
    ResponseOutparam::set(out, Ok(response));
    if let Ok(body) = body {
        let _ = guests::write(&body, report.as_bytes());
        if header(&request, "x-leave").as_deref() == Some("response") {
            std::mem::forget(body);
        } else {
            drop(OutgoingBody::finish(body, None));
        }
    }
});
