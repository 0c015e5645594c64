//! Sends its surrogate in another header field.

use guests::{Attempt, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let surrogate = surrogate();
    Attempt::get("/secrets/db?api-version=7.4")
        .header("x-ms-token", format!("x {surrogate}"))
        .authorized(&surrogate)
        .send()
}
