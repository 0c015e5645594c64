//! Puts its surrogate into the path.

use guests::{Wanted, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    Wanted::get(&format!("/secrets/{}?api-version=7.4", surrogate())).send()
}
