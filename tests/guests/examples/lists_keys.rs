//! Asks for the account's keys, with a manifest that calls Resource Manager its own: `x-path` says
//! in which spelling.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::bindings::wasi::http::types::Method;
use guests::sas::surrogate;
use guests::{Wanted, header};

guests::attack!(attack, "../own_manager.toml");

fn attack(request: &IncomingRequest) -> String {
    let path = header(request, "x-path").unwrap_or_default();
    let wanted =
        Wanted { method: Method::Post, authority: "management.azure.com", ..Wanted::get(&path) };
    wanted.authorized(&surrogate("own")).header("content-length", "0").send()
}
