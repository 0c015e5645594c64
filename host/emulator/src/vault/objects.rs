//! The operations that secrets, keys and certificates share.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::collection::Collection;
use super::object_json;
use super::vault_error::VaultError;
use super::vault_store::{Object, Vault, Version};
use crate::messages::{Request, Response};

/// Runs an operation that all collections have.
pub(super) fn dispatch(
    vault: &mut Vault,
    collection: Collection,
    request: &Request,
    path: &[&str],
) -> Result<Response, VaultError> {
    match (request.method.as_str(), path) {
        ("GET", []) => {
            let objects = vault.all(collection);
            let items = objects.filter_map(|(name, object)| {
                Some(object_json::item(collection, request, name, object.versions.last()?, false))
            });
            Ok(object_json::page(request, items.collect()))
        }
        ("POST", ["restore"]) => {
            let backup = request.json().get("value").and_then(Value::as_str).map(str::to_owned);
            let backup =
                backup.and_then(|backup| URL_SAFE_NO_PAD.decode(backup.trim_end_matches('=')).ok());
            let backup = backup.and_then(|backup| String::from_utf8(backup).ok());
            let backup = backup.ok_or_else(|| {
                VaultError::bad_parameter("Property value is missing or is not a backup.")
            })?;
            let name = vault.restore(collection, &backup)?;
            latest(vault, collection, request, &name)
        }
        ("GET", [name, "versions"]) => {
            let versions = vault.get(collection, name)?.versions.iter();
            let items =
                versions.map(|version| object_json::item(collection, request, name, version, true));
            Ok(object_json::page(request, items.collect()))
        }
        ("POST", [name, "backup"]) => {
            let backup = vault.back_up(collection, name)?;
            Ok(Response::json(200, &json!({ "value": URL_SAFE_NO_PAD.encode(backup) })))
        }
        ("GET", [name]) => latest(vault, collection, request, name),
        ("GET", [name, version]) => {
            let object = vault.get(collection, name)?;
            let version = object.versions.iter().find(|known| known.id == *version);
            full_bundle(collection, request, name, object, version)
        }
        ("PATCH", [name, version @ ..]) if version.len() < 2 => {
            let object = vault.get_mut(collection, name)?;
            let position = match version.first() {
                Some(version) => object.versions.iter().position(|known| known.id == *version),
                None => object.versions.len().checked_sub(1),
            };
            let version = position.and_then(|position| object.versions.get_mut(position));
            let version = version.ok_or_else(|| VaultError::object_not_found(collection, name))?;
            if !request.json().is_object() {
                return Err(VaultError::bad_parameter(
                    "The request's body is missing or is not an object.",
                ));
            }
            version.update(&request.json());
            let version = version.clone();
            let mut bundle = object_json::bundle(collection, request, name, object, &version);
            // The response to an update has no value of a secret.
            bundle.as_object_mut().map(|members| members.remove("value"));
            Ok(Response::json(200, &bundle))
        }
        ("DELETE", [name]) => {
            vault.delete(collection, name)?;
            get_deleted(vault, collection, request, name)
        }
        _ => Err(VaultError::method_not_allowed()),
    }
}

/// Runs an operation on deleted objects.
pub(super) fn dispatch_deleted(
    vault: &mut Vault,
    collection: Collection,
    request: &Request,
    path: &[&str],
) -> Result<Response, VaultError> {
    match (request.method.as_str(), path) {
        ("GET", []) => {
            let items = vault.all_deleted(collection).filter_map(|(name, deleted)| {
                let item = object_json::item(
                    collection,
                    request,
                    name,
                    deleted.object.versions.last()?,
                    false,
                );
                Some(object_json::deleted(item, collection, request, name, deleted))
            });
            Ok(object_json::page(request, items.collect()))
        }
        ("GET", [name]) => get_deleted(vault, collection, request, name),
        ("POST", [name, "recover"]) => {
            vault.recover(collection, name)?;
            let object = vault.get(collection, name)?;
            let mut bundle = bundle(collection, request, name, object, object.versions.last())?;
            bundle.as_object_mut().map(|members| members.remove("value"));
            Ok(Response::json(200, &bundle))
        }
        ("DELETE", [name]) => {
            vault.purge(collection, name)?;
            Ok(Response::new(204))
        }
        _ => Err(VaultError::method_not_allowed()),
    }
}

fn get_deleted(
    vault: &Vault,
    collection: Collection,
    request: &Request,
    name: &str,
) -> Result<Response, VaultError> {
    let deleted = vault.get_deleted(collection, name)?;
    let bundle =
        bundle(collection, request, name, &deleted.object, deleted.object.versions.last())?;
    Ok(Response::json(200, &object_json::deleted(bundle, collection, request, name, deleted)))
}

/// The latest version of an object.
pub(super) fn latest(
    vault: &Vault,
    collection: Collection,
    request: &Request,
    name: &str,
) -> Result<Response, VaultError> {
    let object = vault.get(collection, name)?;
    full_bundle(collection, request, name, object, object.versions.last())
}

fn full_bundle(
    collection: Collection,
    request: &Request,
    name: &str,
    object: &Object,
    version: Option<&Version>,
) -> Result<Response, VaultError> {
    if collection == Collection::Secrets && version.is_some_and(|version| !version.is_enabled()) {
        return Err(VaultError::disabled());
    }
    Ok(Response::json(200, &bundle(collection, request, name, object, version)?))
}

fn bundle(
    collection: Collection,
    request: &Request,
    name: &str,
    object: &Object,
    version: Option<&Version>,
) -> Result<Value, VaultError> {
    let version = version.ok_or_else(|| VaultError::object_not_found(collection, name))?;
    Ok(object_json::bundle(collection, request, name, object, version))
}
