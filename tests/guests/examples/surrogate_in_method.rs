//! Puts its surrogate into the method.

use guests::bindings::wasi::http::types::Method;
use guests::{Attempt, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let surrogate = surrogate();
    let method = Method::Other(surrogate.clone());
    Attempt { method, ..Attempt::get("/secrets/db?api-version=7.4") }.authorized(&surrogate).send()
}
