//! Follows a redirect, wherever it leads, with the surrogate in its hand.

use guests::{Wanted, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let surrogate = surrogate();
    let first = Wanted::get("/secrets/db?api-version=7.4").authorized(&surrogate).send();
    let Some((_, location)) = first.lines().find_map(|line| line.split_once("location: ")) else {
        return first;
    };
    let rest = location.split_once("://").map_or(location, |(_, rest)| rest);
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let wanted = Wanted { authority, ..Wanted::get(path) };
    format!("{first}\nfollowed: {}", wanted.authorized(&surrogate).send())
}
