//! Asks for a key that signs for a week, with a manifest that calls the storage its own.

use guests::Wanted;
use guests::bindings::wasi::http::types::Method;
use guests::sas::{BLOBS, surrogate};

guests::attack!(attack, "../own_storage.toml");

fn attack<R>(_: &R) -> String {
    let path = "/?restype=service&comp=userdelegationkey";
    let wanted = Wanted {
        method: Method::Post,
        authority: BLOBS,
        body: Some(b"<KeyInfo/>"),
        ..Wanted::get(path)
    };
    wanted.authorized(&surrogate("own")).header("x-ms-version", "2023-11-03").send()
}
