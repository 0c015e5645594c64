//! Spends as its authorization what the caller hands it, `x-authorization`, and tells the caller
//! its own surrogate.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::{Wanted, header, surrogate};

guests::attack!(attack);

fn attack(request: &IncomingRequest) -> String {
    let own = surrogate();
    let Some(given) = header(request, "x-authorization") else { return own };
    Wanted::get("/secrets/db?api-version=7.4").header("authorization", given).send()
}
