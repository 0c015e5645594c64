//! Reads blobs: content, properties and metadata.

use super::Call;
use crate::messages::Response;
use crate::storage::blob_store::{Blob, BlobType, PROPERTIES, Revision};
use crate::storage::conditional_headers::{self, AccessKind};
use crate::storage::storage_error::StorageError;
use crate::storage::{range_header, time_format};

/// A response with an ETag and a time.
pub(super) fn with_revision(status: u16, revision: &Revision) -> Response {
    Response::new(status)
        .header("etag", &revision.etag)
        .header("last-modified", &time_format::http(revision.modified))
}

/// Adds the header fields of a blob.
pub(in crate::storage) fn with_blob_headers(mut response: Response, blob: &Blob) -> Response {
    for (field, ..) in PROPERTIES {
        if let Some(value) = blob.properties.get(field).filter(|value| !value.is_empty()) {
            response = response.header(field, value);
        }
    }
    for (name, value) in &blob.metadata {
        response = response.untrusted_header(&format!("x-ms-meta-{name}"), value);
    }
    let (state, status, duration) = blob.lease.header_values();
    response = response
        .header("accept-ranges", "bytes")
        .header("x-ms-creation-time", &time_format::http(blob.created))
        .header("x-ms-lease-state", state)
        .header("x-ms-lease-status", status)
        .header("x-ms-server-encrypted", "true");
    if let Some(duration) = duration {
        response = response.header("x-ms-lease-duration", duration);
    }
    response
}

pub(super) fn get(call: &Call<'_>, head: bool) -> Result<Response, StorageError> {
    let store = call.storage.store();
    let blob = store.container(&call.target.container)?.blob(&call.target.name)?;
    conditional_headers::check(call.request, blob.etag_and_time(), AccessKind::Read)?;
    blob.lease.check(call.request, false)?;
    let length = blob.content.len();
    // HEAD ignores ranges.
    let range = if head { None } else { range_header::requested_range(call.request, length)? };
    let mut response = with_blob_headers(
        with_revision(if range.is_some() { 206 } else { 200 }, &blob.revision),
        blob,
    );
    response = response.header("x-ms-blob-type", blob.blob_type.name());
    if blob.blob_type == BlobType::Append {
        response =
            response.header("x-ms-blob-committed-block-count", &blob.append_count.to_string());
    }
    if let Some(copy) = &blob.copy {
        response = response
            .header("x-ms-copy-id", &copy.id)
            .header("x-ms-copy-source", &copy.source)
            .header("x-ms-copy-status", "success")
            .header("x-ms-copy-progress", &format!("{length}/{length}"))
            .header("x-ms-copy-completion-time", &time_format::http(copy.completed));
    }
    if head {
        return Ok(response.header("content-length", &length.to_string()));
    }
    match range {
        Some((first, last)) => {
            // The checksum is that of the whole blob, not of the range.
            if let Some(md5) = blob.properties.get("content-md5") {
                response.headers.remove("content-md5");
                response = response.header("x-ms-blob-content-md5", md5);
            }
            response = response.header("content-range", &format!("bytes {first}-{last}/{length}"));
            response.body = blob.content.slice(first, last.saturating_add(1));
        }
        None => response.body = blob.content.clone(),
    }
    Ok(response)
}

pub(super) fn metadata(call: &Call<'_>) -> Result<Response, StorageError> {
    let store = call.storage.store();
    let blob = store.container(&call.target.container)?.blob(&call.target.name)?;
    conditional_headers::check(call.request, blob.etag_and_time(), AccessKind::Read)?;
    blob.lease.check(call.request, false)?;
    let mut response = with_revision(200, &blob.revision);
    for (name, value) in &blob.metadata {
        response = response.untrusted_header(&format!("x-ms-meta-{name}"), value);
    }
    Ok(response)
}
