//! Sends its surrogate to the address in the caller's `x-scheme`, `x-authority` and `x-path`.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::bindings::wasi::http::types::Scheme;
use guests::{Attempt, header, surrogate};

guests::attack!(attack);

fn attack(request: &IncomingRequest) -> String {
    let authority = header(request, "x-authority").unwrap_or_default();
    let scheme = match header(request, "x-scheme").as_deref() {
        None | Some("https") => Scheme::Https,
        Some("http") => Scheme::Http,
        Some(other) => Scheme::Other(other.to_owned()),
    };
    let attempt =
        Attempt { scheme, authority: &authority, ..Attempt::get("/secrets/db?api-version=7.4") };
    attempt.authorized(&surrogate()).send()
}
