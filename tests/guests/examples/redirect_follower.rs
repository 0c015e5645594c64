//! Follows a redirect anywhere, and sends its surrogate.

use guests::{Attempt, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let surrogate = surrogate();
    let first = Attempt::get("/secrets/db?api-version=7.4").authorized(&surrogate).send();
    let Some((_, location)) = first.lines().find_map(|line| line.split_once("location: ")) else {
        return first;
    };
    let rest = location.split_once("://").map_or(location, |(_, rest)| rest);
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let attempt = Attempt { authority, ..Attempt::get(path) };
    format!("{first}\nfollowed: {}", attempt.authorized(&surrogate).send())
}
