//! Sends its surrogate to an address of the caller's choosing: `x-scheme`, `x-authority`, `x-path`.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::bindings::wasi::http::types::Scheme;
use guests::{Wanted, header, surrogate};

guests::attack!(attack);

fn attack(request: &IncomingRequest) -> String {
    let authority = header(request, "x-authority").unwrap_or_default();
    let scheme = match header(request, "x-scheme").as_deref() {
        None | Some("https") => Scheme::Https,
        Some("http") => Scheme::Http,
        Some(other) => Scheme::Other(other.to_owned()),
    };
    let wanted =
        Wanted { scheme, authority: &authority, ..Wanted::get("/secrets/db?api-version=7.4") };
    wanted.authorized(&surrogate()).send()
}
