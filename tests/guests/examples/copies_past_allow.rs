//! Copies from where it may not read, with a manifest that calls the storage its own: `x-source`
//! says from where.

use guests::bindings::exports::wasi::http::incoming_handler::IncomingRequest;
use guests::bindings::wasi::http::types::Method;
use guests::sas::{BLOBS, surrogate};
use guests::{Wanted, header};

guests::attack!(attack, "../own_storage.toml");

fn attack(request: &IncomingRequest) -> String {
    let wanted =
        Wanted { method: Method::Put, authority: BLOBS, ..Wanted::get("/hello/public/copy.txt") };
    let source = header(request, "x-source").unwrap_or_default();
    let wanted = wanted.authorized(&surrogate("own")).header("x-ms-copy-source", source);
    wanted.header("x-ms-version", "2023-11-03").header("content-length", "0").send()
}
