//! Answers with an error that is long, and has line breaks and escape sequences in it.

use guests::bindings::wasi::http::types::{ErrorCode, ResponseOutparam};

guests::handler!(|_request, out| {
    let forged = "\r\n2026-01-01T00:00:00Z ERROR keyward: forged \u{1b}[31m\n".repeat(2000);
    ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some(forged))));
});
