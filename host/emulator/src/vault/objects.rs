//! The operations that secrets, keys and certificates share.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::store::{Collection, Object, Vault, Version};
use super::view;
use crate::exchange::{Received, Reply};

pub(super) fn act(
    vault: &mut Vault,
    collection: Collection,
    request: &Received,
    path: &[&str],
) -> Result<Reply, Refusal> {
    match (request.method.as_str(), path) {
        ("GET", []) => {
            let objects = vault.all(collection);
            let items = objects.filter_map(|(name, object)| {
                Some(view::item(collection, request, name, object.versions.last()?, false))
            });
            Ok(view::page(request, items.collect()))
        }
        ("POST", ["restore"]) => {
            let backup = request.json().get("value").and_then(Value::as_str).map(str::to_owned);
            let backup = backup.and_then(|backup| URL_SAFE_NO_PAD.decode(backup.trim_end_matches('=')).ok());
            let backup = backup.and_then(|backup| String::from_utf8(backup).ok());
            let backup = backup.ok_or_else(|| Refusal::bad("Property value is missing or is not a backup."))?;
            let name = vault.restore(collection, &backup)?;
            newest(vault, collection, request, &name)
        }
        ("GET", [name, "versions"]) => {
            let versions = vault.get(collection, name)?.versions.iter();
            let items = versions.map(|version| view::item(collection, request, name, version, true));
            Ok(view::page(request, items.collect()))
        }
        ("POST", [name, "backup"]) => {
            let backup = vault.back_up(collection, name)?;
            Ok(Reply::json(200, &json!({ "value": URL_SAFE_NO_PAD.encode(backup) })))
        }
        ("GET", [name]) => newest(vault, collection, request, name),
        ("GET", [name, version]) => {
            let object = vault.get(collection, name)?;
            let version = object.versions.iter().find(|known| known.id == *version);
            whole(collection, request, name, object, version)
        }
        ("PATCH", [name, version @ ..]) if version.len() < 2 => {
            let object = vault.get_mut(collection, name)?;
            let position = match version.first() {
                Some(version) => object.versions.iter().position(|known| known.id == *version),
                None => object.versions.len().checked_sub(1),
            };
            let version = position.and_then(|position| object.versions.get_mut(position));
            let version = version.ok_or_else(|| Refusal::missing(collection, name))?;
            if !request.json().is_object() {
                return Err(Refusal::bad("The request's body is missing or is not an object."));
            }
            version.update(&request.json());
            let version = version.clone();
            let mut bundle = view::bundle(collection, request, name, object, &version);
            // An update does not show a secret's value.
            bundle.as_object_mut().map(|members| members.remove("value"));
            Ok(Reply::json(200, &bundle))
        }
        ("DELETE", [name]) => {
            vault.delete(collection, name)?;
            get_deleted(vault, collection, request, name)
        }
        _ => Err(Refusal::method()),
    }
}

/// The operations on what was deleted.
pub(super) fn act_on_deleted(
    vault: &mut Vault,
    collection: Collection,
    request: &Received,
    path: &[&str],
) -> Result<Reply, Refusal> {
    match (request.method.as_str(), path) {
        ("GET", []) => {
            let items = vault.all_deleted(collection).filter_map(|(name, deleted)| {
                let item = view::item(collection, request, name, deleted.object.versions.last()?, false);
                Some(view::deleted(item, collection, request, name, deleted))
            });
            Ok(view::page(request, items.collect()))
        }
        ("GET", [name]) => get_deleted(vault, collection, request, name),
        ("POST", [name, "recover"]) => {
            vault.recover(collection, name)?;
            let object = vault.get(collection, name)?;
            let mut bundle = bundle(collection, request, name, object, object.versions.last())?;
            bundle.as_object_mut().map(|members| members.remove("value"));
            Ok(Reply::json(200, &bundle))
        }
        ("DELETE", [name]) => {
            vault.purge(collection, name)?;
            Ok(Reply::new(204))
        }
        _ => Err(Refusal::method()),
    }
}

fn get_deleted(vault: &Vault, collection: Collection, request: &Received, name: &str) -> Result<Reply, Refusal> {
    let deleted = vault.get_deleted(collection, name)?;
    let bundle = bundle(collection, request, name, &deleted.object, deleted.object.versions.last())?;
    Ok(Reply::json(200, &view::deleted(bundle, collection, request, name, deleted)))
}

/// The newest version of an object.
pub(super) fn newest(vault: &Vault, collection: Collection, request: &Received, name: &str) -> Result<Reply, Refusal> {
    let object = vault.get(collection, name)?;
    whole(collection, request, name, object, object.versions.last())
}

fn whole(
    collection: Collection,
    request: &Received,
    name: &str,
    object: &Object,
    version: Option<&Version>,
) -> Result<Reply, Refusal> {
    if collection == Collection::Secrets && version.is_some_and(|version| !version.is_enabled()) {
        return Err(Refusal::disabled());
    }
    Ok(Reply::json(200, &bundle(collection, request, name, object, version)?))
}

fn bundle(
    collection: Collection,
    request: &Received,
    name: &str,
    object: &Object,
    version: Option<&Version>,
) -> Result<Value, Refusal> {
    let version = version.ok_or_else(|| Refusal::missing(collection, name))?;
    Ok(view::bundle(collection, request, name, object, version))
}
