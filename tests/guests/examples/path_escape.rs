//! Asks for a path of the caller's choosing, `x-path`, with a good surrogate.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::{Wanted, header, surrogate};

guests::attack!(attack);

fn attack(request: &IncomingRequest) -> String {
    let path = header(request, "x-path").unwrap_or_default();
    Wanted::get(&path).authorized(&surrogate()).send()
}
