//! The operation of secrets alone: setting a value.

use serde_json::Value;

use super::collection::Collection;
use super::objects;
use super::vault_error::VaultError;
use super::vault_store::Vault;
use crate::messages::{Request, Response};

/// Runs an operation that only secrets have; `None` if the request is not one.
pub(super) fn dispatch(
    vault: &mut Vault,
    request: &Request,
    path: &[&str],
) -> Option<Result<Response, VaultError>> {
    match (request.method.as_str(), path) {
        ("PUT", [name]) => Some(set(vault, request, name)),
        _ => None,
    }
}

fn set(vault: &mut Vault, request: &Request, name: &str) -> Result<Response, VaultError> {
    let content = request.json();
    if !content.get("value").is_some_and(Value::is_string) {
        return Err(VaultError::bad_parameter("Property  value  is missing or not a string."));
    }
    vault.put(Collection::Secrets, name, content)?;
    objects::latest(vault, Collection::Secrets, request, name)
}
