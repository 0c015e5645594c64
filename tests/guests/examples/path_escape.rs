//! Requests the path in the caller's `x-path` with a valid surrogate.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::{Attempt, header, surrogate};

guests::attack!(attack);

fn attack(request: &IncomingRequest) -> String {
    let path = header(request, "x-path").unwrap_or_default();
    Attempt::get(&path).authorized(&surrogate()).send()
}
