//! The JSON of objects.

use serde_json::{Map, Value, json};

use super::collection::Collection;
use super::vault_store::{Deleted, Object, Version};
use crate::messages::{Request, Response};

/// The default number of items of a page.
const PAGE: usize = 25;

/// How long a deleted object can be recovered, in seconds.
const RECOVERABLE: u64 = 90 * 24 * 3600;

pub(super) fn id(collection: Collection, request: &Request, name: &str) -> String {
    format!("https://{}/{}/{name}", request.host, collection.name())
}

fn version_id(collection: Collection, request: &Request, name: &str, version: &Version) -> String {
    format!("{}/{}", id(collection, request, name), version.id)
}

/// The policy of an object, or else the default.
pub(super) fn policy(
    collection: Collection,
    request: &Request,
    (name, object): (&str, &Object),
    member: &str,
    default: Value,
) -> Response {
    let mut policy = object.policy.clone().unwrap_or(default);
    if let Some(members) = policy.as_object_mut() {
        members
            .insert("id".to_owned(), format!("{}/{member}", id(collection, request, name)).into());
    }
    Response::json(200, &policy)
}

fn attributes(version: &Version) -> Value {
    let mut attributes = version.attributes.clone();
    attributes.entry("enabled").or_insert(true.into());
    attributes.insert("created".to_owned(), version.created.into());
    attributes.insert("updated".to_owned(), version.updated.into());
    attributes.insert("recoveryLevel".to_owned(), "Recoverable+Purgeable".into());
    attributes.insert("recoverableDays".to_owned(), 90.into());
    attributes.into()
}

/// A version with its content.
pub(super) fn bundle(
    collection: Collection,
    request: &Request,
    name: &str,
    object: &Object,
    version: &Version,
) -> Value {
    let mut bundle = version.content.clone();
    let id = |collection: Collection| version_id(collection, request, name, version);
    match collection {
        Collection::Secrets => drop(bundle.insert("id".to_owned(), id(collection).into())),
        Collection::Keys => {
            if let Some(key) = bundle.get_mut("key").and_then(Value::as_object_mut) {
                key.insert("kid".to_owned(), id(collection).into());
            }
        }
        Collection::Certificates => {
            bundle.insert("id".to_owned(), id(collection).into());
            bundle.insert("kid".to_owned(), id(Collection::Keys).into());
            bundle.insert("sid".to_owned(), id(Collection::Secrets).into());
            if let Some(policy) = &object.policy {
                bundle.insert("policy".to_owned(), policy.clone());
            }
        }
    }
    bundle.insert("attributes".to_owned(), attributes(version));
    Value::Object(bundle)
}

/// A version in a list, without its content.
pub(super) fn item(
    collection: Collection,
    request: &Request,
    name: &str,
    version: &Version,
    with_version: bool,
) -> Value {
    let id = if with_version {
        version_id(collection, request, name, version)
    } else {
        id(collection, request, name)
    };
    let member = if collection == Collection::Keys { "kid" } else { "id" };
    let mut item = Map::new();
    item.insert(member.to_owned(), id.into());
    item.insert("attributes".to_owned(), attributes(version));
    for name in ["tags", "contentType", "managed", "x5t"] {
        if let Some(value) = version.content.get(name) {
            item.insert(name.to_owned(), value.clone());
        }
    }
    item.into()
}

/// Adds the members of a deleted object.
pub(super) fn deleted(
    mut object: Value,
    collection: Collection,
    request: &Request,
    name: &str,
    deleted: &Deleted,
) -> Value {
    if let Some(members) = object.as_object_mut() {
        let recovery = format!("https://{}/deleted{}/{name}", request.host, collection.name());
        members.remove("value");
        members.insert("recoveryId".to_owned(), recovery.into());
        members.insert("deletedDate".to_owned(), deleted.deleted_at.into());
        members.insert("scheduledPurgeDate".to_owned(), (deleted.deleted_at + RECOVERABLE).into());
    }
    object
}

/// A page of a list, with a link to the next page.
pub(super) fn page(request: &Request, items: Vec<Value>) -> Response {
    let size =
        request.query("maxresults").and_then(|size| size.parse().ok()).unwrap_or(PAGE).max(1);
    let skip: usize =
        request.query("$skiptoken").and_then(|skip| skip.parse().ok()).unwrap_or_default();
    let remaining = items.len().saturating_sub(skip + size);
    let next = (remaining > 0).then(|| {
        let version = request.query("api-version").unwrap_or_default();
        format!(
            "https://{}:443{}?api-version={version}&$skiptoken={}&maxresults={size}",
            request.host,
            request.path,
            skip + size
        )
    });
    let value: Vec<Value> = items.into_iter().skip(skip).take(size).collect();
    Response::json(200, &json!({ "value": value, "nextLink": next }))
}
