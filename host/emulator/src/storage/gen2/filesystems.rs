//! Filesystems, and the properties that they and their files have.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Call, filesystem, filesystem_mut};
use crate::exchange::{Received, Reply};
use crate::storage::clock;
use crate::storage::conditions::{self, Doing};
use crate::storage::failure::{Failure, bad_header};
use crate::storage::store::{Container, FOLDER, Metadata, Stamp};

/// The longest page.
const PAGE: usize = 5000;

pub(super) fn stamped(status: u16, stamp: &Stamp) -> Reply {
    Reply::new(status).header("etag", &stamp.etag).header("last-modified", &clock::http(stamp.modified))
}

/// `x-ms-properties`: `name=BASE64,name=BASE64`. `None` where a request has none.
pub(super) fn properties_of(request: &Received) -> Result<Option<Metadata>, Failure> {
    let Some(text) = request.header("x-ms-properties") else { return Ok(None) };
    let invalid = || bad_header("x-ms-properties", text);
    let mut properties = Metadata::new();
    for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair.trim().split_once('=').ok_or_else(invalid)?;
        let value = String::from_utf8(STANDARD.decode(value).map_err(|_| invalid())?).map_err(|_| invalid())?;
        properties.insert(name.to_ascii_lowercase(), value);
    }
    Ok(Some(properties))
}

/// The same way back. That a directory is one is no property of it.
pub(super) fn written(properties: &Metadata) -> String {
    let shown = properties.iter().filter(|(name, _)| *name != FOLDER);
    shown.map(|(name, value)| format!("{name}={}", STANDARD.encode(value))).collect::<Vec<_>>().join(",")
}

/// The items of a page, and the header field that says where to go on.
pub(super) fn page(request: &Received, items: Vec<(String, Value)>, member: &str) -> Reply {
    let size = request.query("maxresults").and_then(|size| size.parse().ok()).unwrap_or(PAGE).clamp(1, PAGE);
    let from = request.query("continuation").and_then(|token| String::from_utf8(STANDARD.decode(token).ok()?).ok());
    let from = from.unwrap_or_default();
    let mut left = items.into_iter().filter(|(name, _)| *name >= from);
    let shown: Vec<Value> = left.by_ref().take(size).map(|(_, value)| value).collect();
    let mut reply = Reply::json(200, &json!({ member: shown }));
    if let Some((next, _)) = left.next() {
        reply = reply.header("x-ms-continuation", &STANDARD.encode(next));
    }
    reply
}

pub(super) fn list(call: &Call<'_>) -> Result<Reply, Failure> {
    let prefix = call.request.query("prefix").unwrap_or_default();
    let store = call.storage.store();
    let all = store.containers.iter().filter(|(name, _)| name.starts_with(prefix));
    let items = all.map(|(name, container)| {
        let stamp = &container.stamp;
        let value = json!({ "name": name, "lastModified": clock::http(stamp.modified), "etag": stamp.etag });
        (name.clone(), value)
    });
    Ok(page(call.request, items.collect(), "filesystems"))
}

pub(super) fn create(call: &Call<'_>) -> Result<Reply, Failure> {
    let name = &call.target.container;
    if !crate::storage::blob::is_container_name(name) {
        let message = "The specified resource name contains invalid characters.";
        return Err(Failure::new(400, "InvalidResourceName", message));
    }
    let properties = properties_of(call.request)?.unwrap_or_default();
    let mut store = call.storage.store();
    if store.containers.contains_key(name) {
        let message = "The specified filesystem already exists.";
        return Err(Failure::new(409, "FilesystemAlreadyExists", message));
    }
    let stamp = store.stamp();
    let container = Container { metadata: properties, ..Container::new(stamp.clone()) };
    store.containers.insert(name.clone(), container);
    Ok(stamped(201, &stamp).header("x-ms-namespace-enabled", "true"))
}

pub(super) fn get(call: &Call<'_>) -> Result<Reply, Failure> {
    let store = call.storage.store();
    let container = filesystem(&store, &call.target.container)?;
    Ok(stamped(200, &container.stamp)
        .header("x-ms-properties", &written(&container.metadata))
        .header("x-ms-namespace-enabled", "true"))
}

pub(super) fn set_properties(call: &Call<'_>) -> Result<Reply, Failure> {
    let properties = properties_of(call.request)?.unwrap_or_default();
    let mut store = call.storage.store();
    let stamp = store.stamp();
    let container = filesystem_mut(&mut store, &call.target.container)?;
    conditions::check(call.request, Some(container.stamp.found()), Doing::Writing)?;
    container.metadata = properties;
    container.stamp = stamp.clone();
    Ok(stamped(200, &stamp))
}

pub(super) fn delete(call: &Call<'_>) -> Result<Reply, Failure> {
    let mut store = call.storage.store();
    let container = filesystem(&store, &call.target.container)?;
    conditions::check(call.request, Some(container.stamp.found()), Doing::Writing)?;
    store.containers.remove(&call.target.container);
    Ok(Reply::new(202))
}
