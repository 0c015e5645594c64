//! Renames a file, or a directory with everything in it.

use super::filesystems::with_revision;
use super::paths::{directory_prefix, has_children, is_directory};
use super::{Call, filesystem, filesystem_mut};
use crate::messages::Response;
use crate::storage::blob_path::BlobPath;
use crate::storage::blob_store::Blob;
use crate::storage::conditional_headers::{self, AccessKind};
use crate::storage::storage_error::{StorageError, invalid_header};

pub(super) fn rename(call: &Call<'_>) -> Result<Response, StorageError> {
    let header = call.request.header("x-ms-rename-source").unwrap_or_default();
    let path = header.split('?').next().unwrap_or_default();
    if !path.starts_with('/') {
        return Err(invalid_header("x-ms-rename-source", header));
    }
    let mut source = BlobPath::parse(path);
    source.name = source.name.trim_matches('/').to_owned();
    let (from, to) = (&source.name, &call.target.name);

    let mut store = call.storage.store();
    let revision = store.next_revision();
    check_destination(call, filesystem(&store, &call.target.container)?)?;
    let origin = filesystem_mut(&mut store, &source.container)?;
    let exists =
        !from.is_empty() && (origin.blobs.contains_key(from) || is_directory(origin, from));
    if !exists {
        let message = "The source path for a rename operation does not exist.";
        return Err(StorageError::new(404, "SourcePathNotFound", message));
    }
    if source.container == call.target.container
        && (from == to || to.starts_with(&directory_prefix(from)))
    {
        let message = "The source and destination paths for a rename operation must not be within \
                       each other.";
        return Err(StorageError::new(409, "InvalidRenameSourcePath", message));
    }
    if let Some(blob) = origin.blobs.get(from) {
        // A leased source needs its lease id, which has its own header field.
        let leased = matches!(blob.lease.header_values().1, "locked");
        if leased && !call.request.headers.contains_key("x-ms-source-lease-id") {
            let message = "There is currently a lease on the source path and no lease ID was \
                           specified in the request.";
            return Err(StorageError::new(412, "LeaseIdMissing", message));
        }
    }
    let prefix = directory_prefix(from);
    let names: Vec<String> = origin
        .blobs
        .keys()
        .filter(|name| *name == from || name.starts_with(&prefix))
        .cloned()
        .collect();
    let moved: Vec<(String, Blob)> = names
        .into_iter()
        .filter_map(|name| origin.blobs.remove(&name).map(|blob| (name, blob)))
        .collect();
    origin.unflushed.retain(|name, _| name != from && !name.starts_with(&prefix));
    origin.uncommitted.retain(|name, _| name != from && !name.starts_with(&prefix));
    let destination = filesystem_mut(&mut store, &call.target.container)?;
    for (name, mut blob) in moved {
        if name == *from {
            blob.revision = revision.clone();
        }
        let rest = name.strip_prefix(from.as_str()).unwrap_or_default();
        destination.blobs.insert(format!("{to}{rest}"), blob);
    }
    Ok(with_revision(201, &revision))
}

fn check_destination(
    call: &Call<'_>,
    container: &crate::storage::blob_store::Container,
) -> Result<(), StorageError> {
    let name = &call.target.name;
    let existing = container.blobs.get(name);
    conditional_headers::check(
        call.request,
        existing.and_then(Blob::etag_and_time),
        AccessKind::Write,
    )?;
    if let Some(blob) = existing {
        blob.lease.check(call.request, true)?;
    }
    if has_children(container, name) {
        let message = "The rename destination is a directory that is not empty.";
        return Err(StorageError::new(409, "DestinationPathIsNotEmpty", message));
    }
    let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
    if !is_directory(container, parent) {
        let message = "The parent directory of the destination path does not exist.";
        return Err(StorageError::new(404, "RenameDestinationParentPathNotFound", message));
    }
    Ok(())
}
