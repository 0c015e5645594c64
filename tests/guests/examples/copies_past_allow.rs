//! Copies from the blob in `x-source`, which it may not read, with a manifest that declares its own
//! audience for the storage.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::bindings::wasi::http::types::Method;
use guests::sas::{BLOBS, surrogate};
use guests::{Attempt, header};

guests::attack!(attack, "../own_storage.toml");

fn attack(request: &IncomingRequest) -> String {
    let attempt =
        Attempt { method: Method::Put, authority: BLOBS, ..Attempt::get("/hello/public/copy.txt") };
    let source = header(request, "x-source").unwrap_or_default();
    let attempt = attempt.authorized(&surrogate("own")).header("x-ms-copy-source", source);
    attempt.header("x-ms-version", "2023-11-03").header("content-length", "0").send()
}
