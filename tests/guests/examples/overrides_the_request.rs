//! Sends a `GET` that is allowed with a header field, `x-field`, that makes it another request.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::{Attempt, header, surrogate};

guests::attack!(attack);

fn attack(request: &IncomingRequest) -> String {
    let attempt = Attempt::get("/secrets/db?api-version=7.4").authorized(&surrogate());
    match header(request, "x-field") {
        Some(field) => attempt.header(&field, "DELETE").send(),
        None => attempt.send(),
    }
}
