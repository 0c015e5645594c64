//! Responds twice, with a handle that it no longer owns.

use guests::bindings::wasi::http::types::{Fields, OutgoingResponse, ResponseOutparam};

guests::handler!(|_request, out| {
    let handle = out.handle();
    ResponseOutparam::set(out, Ok(OutgoingResponse::new(Fields::new())));
    #[allow(unsafe_code)]
    // SAFETY: it is not safe, and that is the point: the host must see that the handle is gone.
    let again = unsafe { ResponseOutparam::from_handle(handle) };
    ResponseOutparam::set(again, Ok(OutgoingResponse::new(Fields::new())));
});
