//! Asks for the token again and again, and for audiences with long names.

use guests::bindings::keyward::broker::identity;

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let mut surrogates = std::collections::BTreeSet::new();
    for _ in 0..10_000 {
        if let Ok(token) = identity::get_token("vault") {
            surrogates.insert(token.bearer);
        }
    }
    let unknown =
        (0..1000).filter(|n| identity::get_token(&format!("{n}{}", "x".repeat(1000))).is_err());
    format!("{} surrogates, {} errors", surrogates.len(), unknown.count())
}
