//! Sends a `GET` that is allowed with a header field, `x-field`, that makes it another request.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::{Wanted, header, surrogate};

guests::attack!(attack);

fn attack(request: &IncomingRequest) -> String {
    let wanted = Wanted::get("/secrets/db?api-version=7.4").authorized(&surrogate());
    match header(request, "x-field") {
        Some(field) => wanted.header(&field, "DELETE").send(),
        None => wanted.send(),
    }
}
