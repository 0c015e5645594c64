//! Writes files: append, flush, properties.

use super::filesystems::{properties_of, with_revision};
use super::{Call, filesystem_mut, path_mut, path_not_found};
use crate::content::Content;
use crate::messages::{Request, Response};
use crate::storage::blob_store::{Blob, Container, DIRECTORY_MARK, PROPERTIES, Revision};
use crate::storage::conditional_headers::{self, AccessKind};
use crate::storage::storage_error::{StorageError, invalid_parameter, missing_parameter};

/// Sets the properties in the header fields of a request: `x-ms-content-type` and the like.
pub(super) fn put_headers(blob: &mut Blob, request: &Request) {
    for (field, ..) in PROPERTIES {
        if let Some(value) = request.header(&format!("x-ms-{field}")) {
            blob.properties.insert(field, value.to_owned());
        }
    }
}

fn position(request: &Request) -> Result<u64, StorageError> {
    let text = request.query("position").ok_or_else(|| missing_parameter("position"))?;
    text.parse().map_err(|_| invalid_parameter("position", text))
}

fn file<'c>(container: &'c mut Container, name: &str) -> Result<&'c mut Blob, StorageError> {
    match container.blobs.get_mut(name) {
        Some(blob) if blob.is_directory() => Err(StorageError::new(
            409,
            "ResourceTypeMismatch",
            "The operation is for files, and the path is a directory.",
        )),
        Some(blob) => Ok(blob),
        None => Err(path_not_found()),
    }
}

pub(super) fn append(call: Call<'_>) -> Result<Response, StorageError> {
    let position = position(call.request)?;
    let flush = call.request.query("flush").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let mut store = call.storage.store();
    let revision = store.next_revision();
    let container = filesystem_mut(&mut store, &call.target.container)?;
    let name = &call.target.name;
    let blob = file(container, name)?;
    blob.lease.check(call.request, true)?;
    if position < blob.content.len() {
        return Err(invalid_flush());
    }
    let end = position + call.body.len();
    let chunks = container.unflushed.entry(name.clone()).or_default();
    match chunks.iter_mut().find(|(start, _)| *start == position) {
        Some((_, chunk)) => *chunk = call.body,
        None => chunks.push((position, call.body)),
    }
    let mut response = Response::new(202).header("x-ms-request-server-encrypted", "true");
    if flush {
        commit(container, name, end, &revision)?;
        response = response.header("etag", &revision.etag);
    }
    Ok(response)
}

pub(super) fn flush(call: &Call<'_>) -> Result<Response, StorageError> {
    let position = position(call.request)?;
    let mut store = call.storage.store();
    let revision = store.next_revision();
    let container = filesystem_mut(&mut store, &call.target.container)?;
    let blob = file(container, &call.target.name)?;
    conditional_headers::check(call.request, blob.etag_and_time(), AccessKind::Write)?;
    blob.lease.check(call.request, true)?;
    commit(container, &call.target.name, position, &revision)?;
    if let Ok(blob) = file(container, &call.target.name) {
        put_headers(blob, call.request);
    }
    Ok(with_revision(200, &revision).header("x-ms-request-server-encrypted", "true"))
}

fn invalid_flush() -> StorageError {
    let message = "The uploaded data is not contiguous or the position query parameter value is \
                   not equal to the length of the file after appending the uploaded data.";
    StorageError::new(400, "InvalidFlushPosition", message)
}

/// Commits the appended bytes, which must continue the file without a gap up to this position.
fn commit(
    container: &mut Container,
    name: &str,
    position: u64,
    revision: &Revision,
) -> Result<(), StorageError> {
    let mut chunks = container.unflushed.get(name).cloned().unwrap_or_default();
    chunks.sort_by_key(|(start, _)| *start);
    let blob = file(container, name)?;
    let mut content: Content = blob.content.clone();
    for (start, chunk) in &chunks {
        if *start != content.len() {
            return Err(invalid_flush());
        }
        content.append(chunk);
    }
    if content.len() != position {
        return Err(invalid_flush());
    }
    blob.content = content;
    blob.blocks.clear();
    blob.revision = revision.clone();
    container.unflushed.remove(name);
    Ok(())
}

pub(super) fn set_properties(call: &Call<'_>) -> Result<Response, StorageError> {
    let properties = properties_of(call.request)?;
    let mut store = call.storage.store();
    let revision = store.next_revision();
    let blob = path_mut(&mut store, call)?;
    put_headers(blob, call.request);
    if let Some(properties) = properties {
        // A directory is_kept a directory.
        blob.metadata.retain(|name, _| name == DIRECTORY_MARK);
        blob.metadata.extend(properties.into_iter().filter(|(name, _)| name != DIRECTORY_MARK));
    }
    blob.revision = revision.clone();
    Ok(with_revision(200, &revision))
}
