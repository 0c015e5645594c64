//! Obtains a surrogate, and sends the caller's request without it.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::{Attempt, surrogate};

guests::attack!(attack);

fn attack(request: &IncomingRequest) -> String {
    surrogate();
    Attempt::get(&request.path_with_query().unwrap_or_default()).send()
}
