//! Containers: create, properties, metadata, delete.

use super::Call;
use crate::messages::Response;
use crate::storage::blob_store::{Container, Revision, metadata_of};
use crate::storage::conditional_headers::{self, AccessKind};
use crate::storage::storage_error::StorageError;
use crate::storage::time_format;

fn with_revision(response: Response, revision: &Revision) -> Response {
    response
        .header("etag", &revision.etag)
        .header("last-modified", &time_format::http(revision.modified))
}

/// 3 to 63 lower case letters, digits and single hyphens, or `$root`, `$web`, `$logs`.
pub(in crate::storage) fn is_container_name(name: &str) -> bool {
    let letters = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let hyphens = name.starts_with('-') || name.ends_with('-') || name.contains("--");
    matches!(name, "$root" | "$web" | "$logs")
        || (3..=63).contains(&name.len()) && letters && !hyphens
}

pub(super) fn create(call: &Call<'_>) -> Result<Response, StorageError> {
    let name = &call.target.container;
    if !is_container_name(name) {
        let message = "The specified resource name contains invalid characters.";
        return Err(StorageError::new(400, "InvalidResourceName", message));
    }
    let mut store = call.storage.store();
    if store.containers.contains_key(name) {
        let message = "The specified container already exists.";
        return Err(StorageError::new(409, "ContainerAlreadyExists", message));
    }
    let revision = store.next_revision();
    let mut container = Container::new(revision.clone());
    container.metadata = metadata_of(call.request);
    store.containers.insert(name.clone(), container);
    Ok(with_revision(Response::new(201), &revision))
}

pub(super) fn properties(call: &Call<'_>) -> Result<Response, StorageError> {
    let store = call.storage.store();
    let container = store.container(&call.target.container)?;
    let mut response = with_revision(Response::new(200), &container.revision)
        .header("x-ms-lease-status", "unlocked")
        .header("x-ms-lease-state", "available")
        .header("x-ms-has-immutability-policy", "false")
        .header("x-ms-has-legal-hold", "false");
    for (name, value) in &container.metadata {
        response = response.untrusted_header(&format!("x-ms-meta-{name}"), value);
    }
    Ok(response)
}

pub(super) fn set_metadata(call: &Call<'_>) -> Result<Response, StorageError> {
    let mut store = call.storage.store();
    let revision = store.next_revision();
    let container = store.container_mut(&call.target.container)?;
    conditional_headers::check(
        call.request,
        Some(container.revision.etag_and_time()),
        AccessKind::Write,
    )?;
    container.metadata = metadata_of(call.request);
    container.revision = revision.clone();
    Ok(with_revision(Response::new(200), &revision))
}

pub(super) fn delete(call: &Call<'_>) -> Result<Response, StorageError> {
    let mut store = call.storage.store();
    let container = store.container(&call.target.container)?;
    conditional_headers::check(
        call.request,
        Some(container.revision.etag_and_time()),
        AccessKind::Write,
    )?;
    store.containers.remove(&call.target.container);
    Ok(Response::new(202))
}
