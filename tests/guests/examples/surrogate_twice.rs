//! Spends its surrogate twice in one request.

use guests::{Attempt, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let surrogate = surrogate();
    Attempt::get("/secrets/db?api-version=7.4").authorized(&surrogate).authorized(&surrogate).send()
}
