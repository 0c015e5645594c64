//! Requests the account's keys at `x-path`, with a manifest that declares its own audience for
//! Resource Manager.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::bindings::wasi::http::types::Method;
use guests::sas::surrogate;
use guests::{Attempt, header};

guests::attack!(attack, "../own_manager.toml");

fn attack(request: &IncomingRequest) -> String {
    let path = header(request, "x-path").unwrap_or_default();
    let attempt =
        Attempt { method: Method::Post, authority: "management.azure.com", ..Attempt::get(&path) };
    attempt.authorized(&surrogate("own")).header("content-length", "0").send()
}
