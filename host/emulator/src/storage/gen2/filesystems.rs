//! Filesystems, and the properties of filesystems and files.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Call, filesystem, filesystem_mut};
use crate::messages::{Request, Response};
use crate::storage::blob_store::{Container, DIRECTORY_MARK, Metadata, Revision};
use crate::storage::conditional_headers::{self, AccessKind};
use crate::storage::storage_error::{StorageError, invalid_header};
use crate::storage::time_format;

/// The maximum and the default size of a page.
const PAGE: usize = 5000;

pub(super) fn with_revision(status: u16, revision: &Revision) -> Response {
    Response::new(status)
        .header("etag", &revision.etag)
        .header("last-modified", &time_format::http(revision.modified))
}

/// Parses `x-ms-properties`: `name=BASE64,name=BASE64`. `None` if the request has none.
pub(super) fn properties_of(request: &Request) -> Result<Option<Metadata>, StorageError> {
    let Some(text) = request.header("x-ms-properties") else {
        return Ok(None);
    };
    let invalid = || invalid_header("x-ms-properties", text);
    let mut properties = Metadata::new();
    for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair.trim().split_once('=').ok_or_else(invalid)?;
        let value = String::from_utf8(STANDARD.decode(value).map_err(|_| invalid())?)
            .map_err(|_| invalid())?;
        properties.insert(name.to_ascii_lowercase(), value);
    }
    Ok(Some(properties))
}

/// Writes `x-ms-properties`, without the mark of a directory.
pub(super) fn encode_properties(properties: &Metadata) -> String {
    let visible = properties.iter().filter(|(name, _)| *name != DIRECTORY_MARK);
    visible
        .map(|(name, value)| format!("{name}={}", STANDARD.encode(value)))
        .collect::<Vec<_>>()
        .join(",")
}

/// A page of items, and the header field with the continuation token.
pub(super) fn page(request: &Request, items: Vec<(String, Value)>, member: &str) -> Response {
    let size = request
        .query("maxresults")
        .and_then(|size| size.parse().ok())
        .unwrap_or(PAGE)
        .clamp(1, PAGE);
    let from = request
        .query("continuation")
        .and_then(|token| String::from_utf8(STANDARD.decode(token).ok()?).ok());
    let from = from.unwrap_or_default();
    let mut remaining = items.into_iter().filter(|(name, _)| *name >= from);
    let page: Vec<Value> = remaining.by_ref().take(size).map(|(_, value)| value).collect();
    let mut response = Response::json(200, &json!({ member: page }));
    if let Some((next, _)) = remaining.next() {
        response = response.header("x-ms-continuation", &STANDARD.encode(next));
    }
    response
}

pub(super) fn list(call: &Call<'_>) -> Result<Response, StorageError> {
    let prefix = call.request.query("prefix").unwrap_or_default();
    let store = call.storage.store();
    let all = store.containers.iter().filter(|(name, _)| name.starts_with(prefix));
    let items = all.map(|(name, container)| {
        let revision = &container.revision;
        let modified = time_format::http(revision.modified);
        let value = json!({ "name": name, "lastModified": modified, "etag": revision.etag });
        (name.clone(), value)
    });
    Ok(page(call.request, items.collect(), "filesystems"))
}

pub(super) fn create(call: &Call<'_>) -> Result<Response, StorageError> {
    let name = &call.target.container;
    if !crate::storage::blob::is_container_name(name) {
        let message = "The specified resource name contains invalid characters.";
        return Err(StorageError::new(400, "InvalidResourceName", message));
    }
    let properties = properties_of(call.request)?.unwrap_or_default();
    let mut store = call.storage.store();
    if store.containers.contains_key(name) {
        let message = "The specified filesystem already exists.";
        return Err(StorageError::new(409, "FilesystemAlreadyExists", message));
    }
    let revision = store.next_revision();
    let container = Container { metadata: properties, ..Container::new(revision.clone()) };
    store.containers.insert(name.clone(), container);
    Ok(with_revision(201, &revision).header("x-ms-namespace-enabled", "true"))
}

pub(super) fn get(call: &Call<'_>) -> Result<Response, StorageError> {
    let store = call.storage.store();
    let container = filesystem(&store, &call.target.container)?;
    Ok(with_revision(200, &container.revision)
        .header("x-ms-properties", &encode_properties(&container.metadata))
        .header("x-ms-namespace-enabled", "true"))
}

pub(super) fn set_properties(call: &Call<'_>) -> Result<Response, StorageError> {
    let properties = properties_of(call.request)?.unwrap_or_default();
    let mut store = call.storage.store();
    let revision = store.next_revision();
    let container = filesystem_mut(&mut store, &call.target.container)?;
    conditional_headers::check(
        call.request,
        Some(container.revision.etag_and_time()),
        AccessKind::Write,
    )?;
    container.metadata = properties;
    container.revision = revision.clone();
    Ok(with_revision(200, &revision))
}

pub(super) fn delete(call: &Call<'_>) -> Result<Response, StorageError> {
    let mut store = call.storage.store();
    let container = filesystem(&store, &call.target.container)?;
    conditional_headers::check(
        call.request,
        Some(container.revision.etag_and_time()),
        AccessKind::Write,
    )?;
    store.containers.remove(&call.target.container);
    Ok(Response::new(202))
}
