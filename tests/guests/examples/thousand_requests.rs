//! Sends a thousand requests.

use guests::{Attempt, surrogate};

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let surrogate = surrogate();
    let answers = (0..1000)
        .map(|_| Attempt::get("/secrets/db?api-version=7.4").authorized(&surrogate).send());
    let good = answers.filter(|answer| answer.starts_with("status 200")).count();
    format!("{good} good answers")
}
