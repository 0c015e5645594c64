//! Sends its surrogate in the query.

use guests::{Attempt, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let surrogate = surrogate();
    Attempt::get(&format!("/secrets/db?api-version=7.4&token={surrogate}"))
        .authorized(&surrogate)
        .send()
}
