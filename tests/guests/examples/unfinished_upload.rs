//! Begins an upload, waits for the answer, and ends with the upload open. The caller's `x-leave`
//! says what else is left open: `answer` is its own answer.

use guests::bindings::wasi::http::types::{
    Fields, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use guests::{Wanted, describe, header, surrogate};

guests::handler!(|request, out| {
    let wanted = Wanted { method: Method::Put, ..Wanted::get("/secrets/half?api-version=7.4") };
    let report = match wanted.authorized(&surrogate()).start_upload() {
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
        if header(&request, "x-leave").as_deref() == Some("answer") {
            std::mem::forget(body);
        } else {
            drop(OutgoingBody::finish(body, None));
        }
    }
});
