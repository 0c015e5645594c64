//! Announces more of a body than it sends.

use guests::bindings::wasi::http::types::Method;
use guests::{Wanted, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let wanted = Wanted {
        method: Method::Put,
        body: Some(b"{\"value\":\"x\"}"),
        ..Wanted::get("/secrets/short?api-version=7.4")
    };
    wanted.authorized(&surrogate()).header("content-length", "100").send()
}
