//! What only keys have: making them, importing them, and replacing them by new versions.
//!
//! Keys are elliptic, with P-256 or P-384. Operations with a private key are not here: clients take the vault's address for
//! them from the key's id, which is the service's own.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use super::store::{Collection, Vault};
use super::{objects, view};
use crate::exchange::{Received, Reply};

const OPERATIONS: [&str; 2] = ["sign", "verify"];

/// The members of a private key, which nobody sees again.
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// An operation of keys' own; `None` where a request is none.
pub(super) fn act(vault: &mut Vault, request: &Received, path: &[&str]) -> Option<Result<Reply, Refusal>> {
    match (request.method.as_str(), path) {
        ("POST", [name, "create"]) => Some(create(vault, request, name)),
        ("PUT", [name]) => Some(import(vault, request, name)),
        ("POST", [name, "rotate"]) => Some(rotate(vault, request, name)),
        ("GET", [name, "rotationpolicy"]) => Some(rotation_policy(vault, request, name)),
        ("PUT", [name, "rotationpolicy"]) => Some(set_rotation_policy(vault, request, name)),
        _ => None,
    }
}

/// The content of a new elliptic key. `asked` may have `key_ops`, `attributes` and `tags`.
pub(super) fn content(curve: &str, asked: &Value) -> Result<Value, String> {
    let algorithm = match curve {
        "P-256" => &ECDSA_P256_SHA256_FIXED_SIGNING,
        "P-384" => &ECDSA_P384_SHA384_FIXED_SIGNING,
        _ => return Err(format!("The emulator makes keys with P-256 and P-384, not {curve}.")),
    };
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|error| error.to_string())?;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).map_err(|error| error.to_string())?;
    let mut key = public(curve, pair.public_key().as_ref());
    let operations = asked.get("key_ops").filter(|operations| operations.is_array());
    key.insert("key_ops".to_owned(), operations.cloned().unwrap_or_else(|| json!(OPERATIONS)));
    Ok(json!({ "key": key, "attributes": asked.get("attributes"), "tags": asked.get("tags") }))
}

/// The members of a public key, out of a point that is not compressed.
pub(super) fn public(curve: &str, point: &[u8]) -> Map<String, Value> {
    let coordinates = point.get(1..).unwrap_or_default();
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    let mut key = Map::new();
    for (name, value) in [("kty", "EC"), ("crv", curve), ("x", &encode(x)), ("y", &encode(y))] {
        key.insert(name.to_owned(), value.into());
    }
    key
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn create(vault: &mut Vault, request: &Received, name: &str) -> Result<Reply, Refusal> {
    let asked = request.json();
    if asked.get("kty").and_then(Value::as_str) != Some("EC") {
        return Err(Refusal::bad("Property kty is missing, or is not EC: the emulator makes elliptic keys only."));
    }
    let curve = asked.get("crv").and_then(Value::as_str).unwrap_or("P-256");
    let content = content(curve, &asked).map_err(Refusal::bad)?;
    vault.put(Collection::Keys, name, content)?;
    objects::newest(vault, Collection::Keys, request, name)
}

fn import(vault: &mut Vault, request: &Received, name: &str) -> Result<Reply, Refusal> {
    let asked = request.json();
    let Some(key) = asked.get("key").and_then(Value::as_object) else {
        return Err(Refusal::bad("Property key is missing."));
    };
    let mut key = key.clone();
    if key.get("kty").and_then(Value::as_str).is_none() || !key.contains_key("d") {
        return Err(Refusal::bad("The key has no type, or no private part."));
    }
    key.retain(|name, value| !PRIVATE.contains(&name.as_str()) && !value.is_null());
    key.entry("key_ops").or_insert_with(|| json!(OPERATIONS));
    let content = json!({ "key": key, "attributes": asked.get("attributes"), "tags": asked.get("tags") });
    vault.put(Collection::Keys, name, content)?;
    objects::newest(vault, Collection::Keys, request, name)
}

fn rotate(vault: &mut Vault, request: &Received, name: &str) -> Result<Reply, Refusal> {
    let object = vault.get(Collection::Keys, name)?;
    let last = object.versions.last().ok_or_else(|| Refusal::missing(Collection::Keys, name))?;
    let key = last.content.get("key");
    let curve = key.and_then(|key| key.get("crv")).and_then(Value::as_str).unwrap_or("P-256").to_owned();
    let operations = key.and_then(|key| key.get("key_ops")).cloned();
    let content = content(&curve, &json!({ "key_ops": operations, "tags": last.content.get("tags") }));
    vault.put(Collection::Keys, name, content.map_err(Refusal::bad)?)?;
    objects::newest(vault, Collection::Keys, request, name)
}

fn rotation_policy(vault: &Vault, request: &Received, name: &str) -> Result<Reply, Refusal> {
    let none = json!({ "lifetimeActions": [], "attributes": {} });
    let object = vault.get(Collection::Keys, name)?;
    Ok(view::policy(Collection::Keys, request, (name, object), "rotationpolicy", none))
}

fn set_rotation_policy(vault: &mut Vault, request: &Received, name: &str) -> Result<Reply, Refusal> {
    let object = vault.get_mut(Collection::Keys, name)?;
    if !request.json().is_object() {
        return Err(Refusal::bad("The policy is missing."));
    }
    object.policy = Some(request.json());
    rotation_policy(vault, request, name)
}
