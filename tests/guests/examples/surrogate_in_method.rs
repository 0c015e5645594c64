//! Puts its surrogate into the method.

use guests::bindings::wasi::http::types::Method;
use guests::{Wanted, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let surrogate = surrogate();
    let method = Method::Other(surrogate.clone());
    Wanted { method, ..Wanted::get("/secrets/db?api-version=7.4") }.authorized(&surrogate).send()
}
