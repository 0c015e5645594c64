//! Changes blobs: put, append, properties, metadata, leases, delete.

use std::collections::BTreeMap;

use super::Call;
use super::blob_read::with_revision;
use crate::content::Content;
use crate::messages::{Request, Response};
use crate::storage::blob_store::{
    Blob, BlobType, Container, DIRECTORY_MARK, PROPERTIES, metadata_of,
};
use crate::storage::conditional_headers::{self, AccessKind};
use crate::storage::storage_error::{
    StorageError, invalid_header, missing_header, not_implemented,
};

/// Limit of an appended block: 100 MiB, as in the service since version 2022-11-02.
const MAX_APPEND: u64 = 100 << 20;

/// Limit of the blocks of an append blob.
const MAX_APPENDS: u64 = 50_000;

/// The properties in the `x-ms-blob-` header fields of a request.
pub(super) fn properties_of(request: &Request) -> BTreeMap<&'static str, String> {
    let properties = PROPERTIES
        .iter()
        .filter_map(|(field, set_by, _)| Some((*field, request.header(set_by)?.to_owned())));
    properties.collect()
}

/// Checks the conditions and the lease of the blob that a write replaces, if there is one.
pub(super) fn check_replaceable(
    container: &Container,
    name: &str,
    request: &Request,
) -> Result<(), StorageError> {
    let existing = container.blobs.get(name);
    conditional_headers::check(request, existing.and_then(Blob::etag_and_time), AccessKind::Write)?;
    match existing {
        Some(blob) if blob.is_directory() && !metadata_of(request).contains_key(DIRECTORY_MARK) => {
            let message = "This operation is not permitted on a directory.";
            Err(StorageError::new(409, "OperationNotAllowedOnDirectory", message))
        }
        Some(blob) => blob.lease.check(request, true),
        None => Ok(()),
    }
}

/// Stores a blob. It inherits the lease and the creation time of the one it replaces.
pub(super) fn replace(container: &mut Container, name: &str, mut blob: Blob) {
    if let Some(old) = container.blobs.get(name) {
        blob.lease = old.lease.clone();
        blob.created = old.created;
        blob.access = old.access.clone();
    }
    container.uncommitted.remove(name);
    container.blobs.insert(name.to_owned(), blob);
}

fn encrypted(response: Response) -> Response {
    response.header("x-ms-request-server-encrypted", "true")
}

pub(super) fn put(call: Call<'_>) -> Result<Response, StorageError> {
    let request = call.request;
    let blob_type =
        match request.header("x-ms-blob-type").ok_or_else(|| missing_header("x-ms-blob-type"))? {
            "BlockBlob" => BlobType::Block,
            "AppendBlob" if call.body.is_empty() => BlobType::Append,
            "AppendBlob" => {
                return Err(invalid_header("Content-Length", &call.body.len().to_string()));
            }
            "PageBlob" => return Err(not_implemented("page blobs")),
            other => return Err(invalid_header("x-ms-blob-type", other)),
        };
    let mut store = call.storage.store();
    let revision = store.next_revision();
    let container = store.container_mut(&call.target.container)?;
    check_replaceable(container, &call.target.name, request)?;
    let mut blob = Blob::new(blob_type, call.body, revision.clone());
    // Put Blob also accepts plain names; `x-ms-blob-` takes precedence.
    let plain = PROPERTIES
        .iter()
        .filter_map(|(field, ..)| Some((*field, request.header(field)?.to_owned())));
    blob.properties.extend(plain);
    blob.properties.extend(properties_of(request));
    blob.metadata = metadata_of(request);
    let mut response = encrypted(with_revision(201, &revision));
    if let Some(md5) = blob.properties.get("content-md5") {
        response = response.header("content-md5", md5);
    }
    replace(container, &call.target.name, blob);
    Ok(response)
}

pub(super) fn append(call: &Call<'_>) -> Result<Response, StorageError> {
    let request = call.request;
    let mut store = call.storage.store();
    let revision = store.next_revision();
    let blob = store.container_mut(&call.target.container)?.blob_mut(&call.target.name)?;
    conditional_headers::check(request, blob.etag_and_time(), AccessKind::Write)?;
    blob.lease.check(request, true)?;
    if blob.blob_type != BlobType::Append {
        let message = "The blob type is invalid for this operation.";
        return Err(StorageError::new(409, "InvalidBlobType", message));
    }
    let number = |name: &'static str| match request.header(name) {
        Some(text) => text.parse::<u64>().map(Some).map_err(|_| invalid_header(name, text)),
        None => Ok(None),
    };
    let position = blob.content.len();
    if number("x-ms-blob-condition-appendpos")?.is_some_and(|expected| expected != position) {
        let message = "The append position condition specified was not met.";
        return Err(StorageError::new(412, "AppendPositionConditionNotMet", message));
    }
    if number("x-ms-blob-condition-maxsize")?
        .is_some_and(|limit| position + call.body.len() > limit)
    {
        let message = "The max blob size condition specified was not met.";
        return Err(StorageError::new(412, "MaxBlobSizeConditionNotMet", message));
    }
    if call.body.is_empty() {
        return Err(invalid_header("Content-Length", "0"));
    }
    if call.body.len() > MAX_APPEND {
        let message = "The request body is too large and exceeds the maximum permissible limit.";
        return Err(StorageError::new(413, "RequestBodyTooLarge", message));
    }
    if blob.append_count >= MAX_APPENDS {
        let message = "The committed block count cannot exceed the maximum limit of 50,000 blocks.";
        return Err(StorageError::new(409, "BlockCountExceedsLimit", message));
    }
    blob.content.append(&call.body);
    blob.append_count += 1;
    blob.revision = revision;
    Ok(encrypted(with_revision(201, &blob.revision))
        .header("x-ms-blob-append-offset", &position.to_string())
        .header("x-ms-blob-committed-block-count", &blob.append_count.to_string()))
}

/// Changes an existing blob, after checking conditions and lease.
fn change(call: &Call<'_>, change: impl FnOnce(&mut Blob)) -> Result<Response, StorageError> {
    let mut store = call.storage.store();
    let revision = store.next_revision();
    let blob = store.container_mut(&call.target.container)?.blob_mut(&call.target.name)?;
    conditional_headers::check(call.request, blob.etag_and_time(), AccessKind::Write)?;
    blob.lease.check(call.request, true)?;
    change(blob);
    blob.revision = revision;
    Ok(with_revision(200, &blob.revision))
}

pub(super) fn set_metadata(call: &Call<'_>) -> Result<Response, StorageError> {
    change(call, |blob| blob.metadata = metadata_of(call.request)).map(encrypted)
}

/// Sets all properties. Those that the request does not have are removed.
pub(super) fn set_properties(call: &Call<'_>) -> Result<Response, StorageError> {
    change(call, |blob| blob.properties = properties_of(call.request))
}

pub(super) fn lease(call: &Call<'_>) -> Result<Response, StorageError> {
    let mut store = call.storage.store();
    let blob = store.container_mut(&call.target.container)?.blob_mut(&call.target.name)?;
    conditional_headers::check(call.request, blob.etag_and_time(), AccessKind::Write)?;
    let outcome = blob.lease.run(call.request, || call.storage.request_id())?;
    let mut response = with_revision(outcome.status, &blob.revision);
    if let Some(id) = outcome.id {
        response = response.header("x-ms-lease-id", &id);
    }
    if let Some(seconds) = outcome.seconds {
        response = response.header("x-ms-lease-time", &seconds.to_string());
    }
    Ok(response)
}

pub(super) fn delete(call: &Call<'_>) -> Result<Response, StorageError> {
    let mut store = call.storage.store();
    let container = store.container_mut(&call.target.container)?;
    let name = &call.target.name;
    let blob = container.blob(name)?;
    conditional_headers::check(call.request, blob.etag_and_time(), AccessKind::Write)?;
    blob.lease.check(call.request, true)?;
    if blob.is_directory()
        && container.blobs.keys().any(|other| other.starts_with(&format!("{name}/")))
    {
        let message = "This operation is not permitted on a non-empty directory.";
        return Err(StorageError::new(409, "DirectoryIsNotEmpty", message));
    }
    container.blobs.remove(name);
    container.uncommitted.remove(name);
    Ok(Response::new(202).header("x-ms-delete-type-permanent", "true"))
}

/// The content of blocks, joined in order.
pub(super) fn joined(blocks: &[(String, Content)]) -> Content {
    let mut content = Content::default();
    blocks.iter().for_each(|(_, block)| content.append(block));
    content
}
