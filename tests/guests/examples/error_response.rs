//! Returns an error instead of a response.

use guests::bindings::wasi::http::types::{ErrorCode, ResponseOutparam};

guests::handler!(|_request, out| {
    ResponseOutparam::set(
        out,
        Err(ErrorCode::InternalError(Some("a guest's own words".to_owned()))),
    );
});
