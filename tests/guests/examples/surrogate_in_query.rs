//! Puts its surrogate into the query.

use guests::{Wanted, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let surrogate = surrogate();
    Wanted::get(&format!("/secrets/db?api-version=7.4&token={surrogate}"))
        .authorized(&surrogate)
        .send()
}
