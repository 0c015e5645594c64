//! Requests a token for an audience that its manifest does not declare.

use guests::bindings::keyward::broker::identity;

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    ["graph", "", "https://vault.azure.net", "Vault", "vault "]
        .map(|name| format!("{name:?}: {:?}", identity::get_token(name)))
        .join("\n")
}
