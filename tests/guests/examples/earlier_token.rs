//! Sends the caller's `x-authorization` as its own, and returns its surrogate to the caller.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::{Attempt, header, surrogate};

guests::attack!(attack);

fn attack(request: &IncomingRequest) -> String {
    let own = surrogate();
    let Some(given) = header(request, "x-authorization") else { return own };
    Attempt::get("/secrets/db?api-version=7.4").header("authorization", given).send()
}
