//! Puts its surrogate into another header field.

use guests::{Wanted, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let surrogate = surrogate();
    Wanted::get("/secrets/db?api-version=7.4")
        .header("x-ms-token", format!("x {surrogate}"))
        .authorized(&surrogate)
        .send()
}
