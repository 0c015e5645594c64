//! Sends its surrogate in the path.

use guests::{Attempt, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    Attempt::get(&format!("/secrets/{}?api-version=7.4", surrogate())).send()
}
