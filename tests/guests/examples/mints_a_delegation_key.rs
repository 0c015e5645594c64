//! Requests a user delegation key for a week, with a manifest that declares its own audience for the
//! storage.

use guests::Attempt;
use guests::bindings::wasi::http::types::Method;
use guests::sas::{BLOBS, surrogate};

guests::attack!(attack, "../own_storage.toml");

fn attack<R>(_: &R) -> String {
    let path = "/?restype=service&comp=userdelegationkey";
    let attempt = Attempt {
        method: Method::Post,
        authority: BLOBS,
        body: Some(b"<KeyInfo/>"),
        ..Attempt::get(path)
    };
    attempt.authorized(&surrogate("own")).header("x-ms-version", "2023-11-03").send()
}
