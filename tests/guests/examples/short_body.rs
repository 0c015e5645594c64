//! Announces a longer body than it sends.

use guests::bindings::wasi::http::types::Method;
use guests::{Attempt, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let attempt = Attempt {
        method: Method::Put,
        body: Some(b"{\"value\":\"x\"}"),
        ..Attempt::get("/secrets/short?api-version=7.4")
    };
    attempt.authorized(&surrogate()).header("content-length", "100").send()
}
