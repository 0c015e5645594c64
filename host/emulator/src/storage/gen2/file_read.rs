//! Reads files, and the properties of paths.

use super::filesystems::{encode_properties, with_revision};
use super::{Call, filesystem, path_not_found, paths};
use crate::messages::Response;
use crate::storage::blob_store::{Blob, PROPERTIES, Revision};
use crate::storage::conditional_headers::{self, AccessKind};
use crate::storage::range_header;
use crate::storage::storage_error::StorageError;

/// The blob at the path of a request. A directory that is only a prefix of names is an empty one.
pub(super) fn load(call: &Call<'_>) -> Result<Blob, StorageError> {
    let store = call.storage.store();
    let container = filesystem(&store, &call.target.container)?;
    match container.blobs.get(&call.target.name) {
        Some(blob) => Ok(blob.clone()),
        None if paths::is_directory(container, &call.target.name) => {
            let revision = Revision {
                etag: container.revision.etag.clone(),
                modified: container.revision.modified,
            };
            Ok(Blob::directory(revision))
        }
        None => Err(path_not_found()),
    }
}

fn response_for(status: u16, blob: &Blob) -> Response {
    let mut response = with_revision(status, &blob.revision);
    if !blob.is_directory() {
        for (field, ..) in PROPERTIES {
            if let Some(value) = blob.properties.get(field).filter(|value| !value.is_empty()) {
                response = response.header(field, value);
            }
        }
    }
    let (state, lease, duration) = blob.lease.header_values();
    if let Some(duration) = duration {
        response = response.header("x-ms-lease-duration", duration);
    }
    response
        .header("accept-ranges", "bytes")
        .header("x-ms-resource-type", if blob.is_directory() { "directory" } else { "file" })
        .header("x-ms-properties", &encode_properties(&blob.metadata))
        .header("x-ms-owner", &blob.access.owner)
        .header("x-ms-group", &blob.access.group)
        .header("x-ms-permissions", &blob.access.permissions)
        .header("x-ms-lease-state", state)
        .header("x-ms-lease-status", lease)
        .header("x-ms-server-encrypted", "true")
}

pub(super) fn status(call: &Call<'_>) -> Result<Response, StorageError> {
    let blob = load(call)?;
    conditional_headers::check(call.request, blob.etag_and_time(), AccessKind::Read)?;
    Ok(response_for(200, &blob).header("content-length", &blob.content.len().to_string()))
}

pub(super) fn content(call: &Call<'_>) -> Result<Response, StorageError> {
    let blob = load(call)?;
    conditional_headers::check(call.request, blob.etag_and_time(), AccessKind::Read)?;
    blob.lease.check(call.request, false)?;
    let length = blob.content.len();
    match range_header::requested_range(call.request, length)? {
        Some((first, last)) => {
            let mut response = response_for(206, &blob);
            if let Some(md5) = blob.properties.get("content-md5") {
                response.headers.remove("content-md5");
                response = response.header("x-ms-content-md5", md5);
            }
            response = response.header("content-range", &format!("bytes {first}-{last}/{length}"));
            response.body = blob.content.slice(first, last.saturating_add(1));
            Ok(response)
        }
        None => {
            let mut response = response_for(200, &blob);
            response.body = blob.content;
            Ok(response)
        }
    }
}
