//! The operations of keys alone: creating, importing and rotating them.
//!
//! Keys are elliptic curve keys, P-256 or P-384. Operations with a private key do not exist:
//! clients send them to the host in the key's id, which is the real service.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
};
use serde_json::{Map, Value, json};

use super::collection::Collection;
use super::vault_error::VaultError;
use super::vault_store::Vault;
use super::{object_json, objects};
use crate::messages::{Request, Response};

const OPERATIONS: [&str; 2] = ["sign", "verify"];

/// The members of a private key, which no response contains.
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// Runs an operation that only keys have; `None` if the request is not one.
pub(super) fn dispatch(
    vault: &mut Vault,
    request: &Request,
    path: &[&str],
) -> Option<Result<Response, VaultError>> {
    match (request.method.as_str(), path) {
        ("POST", [name, "create"]) => Some(create(vault, request, name)),
        ("PUT", [name]) => Some(import(vault, request, name)),
        ("POST", [name, "rotate"]) => Some(rotate(vault, request, name)),
        ("GET", [name, "rotationpolicy"]) => Some(rotation_policy(vault, request, name)),
        ("PUT", [name, "rotationpolicy"]) => Some(set_rotation_policy(vault, request, name)),
        _ => None,
    }
}

/// The content of a new key. `body` may have `key_ops`, `attributes` and `tags`.
pub(super) fn content(curve: &str, body: &Value) -> Result<Value, String> {
    let algorithm = match curve {
        "P-256" => &ECDSA_P256_SHA256_FIXED_SIGNING,
        "P-384" => &ECDSA_P384_SHA384_FIXED_SIGNING,
        _ => {
            return Err(format!("The emulator supports keys with P-256 and P-384, not {curve}."));
        }
    };
    let random = SystemRandom::new();
    let document =
        EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|error| error.to_string())?;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random)
        .map_err(|error| error.to_string())?;
    let mut key = public(curve, pair.public_key().as_ref());
    let operations = body.get("key_ops").filter(|operations| operations.is_array());
    key.insert("key_ops".to_owned(), operations.cloned().unwrap_or_else(|| json!(OPERATIONS)));
    Ok(json!({ "key": key, "attributes": body.get("attributes"), "tags": body.get("tags") }))
}

/// The members of a public key, from an uncompressed point.
pub(super) fn public(curve: &str, point: &[u8]) -> Map<String, Value> {
    let coordinates = point.get(1..).unwrap_or_default();
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    let mut key = Map::new();
    for (name, value) in [("kty", "EC"), ("crv", curve), ("x", &base64url(x)), ("y", &base64url(y))]
    {
        key.insert(name.to_owned(), value.into());
    }
    key
}

pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn create(vault: &mut Vault, request: &Request, name: &str) -> Result<Response, VaultError> {
    let body = request.json();
    if body.get("kty").and_then(Value::as_str) != Some("EC") {
        return Err(VaultError::bad_parameter(
            "Property kty is missing or is not EC: the emulator supports elliptic curve keys only.",
        ));
    }
    let curve = body.get("crv").and_then(Value::as_str).unwrap_or("P-256");
    let content = content(curve, &body).map_err(VaultError::bad_parameter)?;
    vault.put(Collection::Keys, name, content)?;
    objects::latest(vault, Collection::Keys, request, name)
}

fn import(vault: &mut Vault, request: &Request, name: &str) -> Result<Response, VaultError> {
    let body = request.json();
    let Some(key) = body.get("key").and_then(Value::as_object) else {
        return Err(VaultError::bad_parameter("Property key is missing."));
    };
    let mut key = key.clone();
    if key.get("kty").and_then(Value::as_str).is_none() || !key.contains_key("d") {
        return Err(VaultError::bad_parameter("The key has no type or no private part."));
    }
    key.retain(|name, value| !PRIVATE.contains(&name.as_str()) && !value.is_null());
    key.entry("key_ops").or_insert_with(|| json!(OPERATIONS));
    let content =
        json!({ "key": key, "attributes": body.get("attributes"), "tags": body.get("tags") });
    vault.put(Collection::Keys, name, content)?;
    objects::latest(vault, Collection::Keys, request, name)
}

fn rotate(vault: &mut Vault, request: &Request, name: &str) -> Result<Response, VaultError> {
    let object = vault.get(Collection::Keys, name)?;
    let last = object
        .versions
        .last()
        .ok_or_else(|| VaultError::object_not_found(Collection::Keys, name))?;
    let key = last.content.get("key");
    let curve =
        key.and_then(|key| key.get("crv")).and_then(Value::as_str).unwrap_or("P-256").to_owned();
    let operations = key.and_then(|key| key.get("key_ops")).cloned();
    let content =
        content(&curve, &json!({ "key_ops": operations, "tags": last.content.get("tags") }));
    vault.put(Collection::Keys, name, content.map_err(VaultError::bad_parameter)?)?;
    objects::latest(vault, Collection::Keys, request, name)
}

fn rotation_policy(vault: &Vault, request: &Request, name: &str) -> Result<Response, VaultError> {
    let default = json!({ "lifetimeActions": [], "attributes": {} });
    let object = vault.get(Collection::Keys, name)?;
    Ok(object_json::policy(Collection::Keys, request, (name, object), "rotationpolicy", default))
}

fn set_rotation_policy(
    vault: &mut Vault,
    request: &Request,
    name: &str,
) -> Result<Response, VaultError> {
    let object = vault.get_mut(Collection::Keys, name)?;
    if !request.json().is_object() {
        return Err(VaultError::bad_parameter("The policy is missing."));
    }
    object.policy = Some(request.json());
    rotation_policy(vault, request, name)
}
