//! What only secrets have: a value to set.

use serde_json::Value;

use super::objects;
use super::refusal::Refusal;
use super::store::{Collection, Vault};
use crate::exchange::{Received, Reply};

/// An operation of secrets' own; `None` where a request is none.
pub(super) fn act(vault: &mut Vault, request: &Received, path: &[&str]) -> Option<Result<Reply, Refusal>> {
    match (request.method.as_str(), path) {
        ("PUT", [name]) => Some(set(vault, request, name)),
        _ => None,
    }
}

fn set(vault: &mut Vault, request: &Received, name: &str) -> Result<Reply, Refusal> {
    let content = request.json();
    if !content.get("value").is_some_and(Value::is_string) {
        return Err(Refusal::bad("Property  value  is missing or not a string."));
    }
    vault.put(Collection::Secrets, name, content)?;
    objects::newest(vault, Collection::Secrets, request, name)
}
