//! Creates and deletes files and directories.

use super::acl_text::to_symbolic;
use super::file_write::put_headers;
use super::filesystems::{properties_of, with_revision};
use super::{Call, filesystem_mut, path_not_found};
use crate::content::Content;
use crate::messages::Response;
use crate::storage::blob_store::{Blob, BlobType, Container, DIRECTORY_MARK, Revision};
use crate::storage::conditional_headers::{self, AccessKind};
use crate::storage::lease::Lease;
use crate::storage::storage_error::StorageError;

/// The common prefix of all names in a directory.
pub(super) fn directory_prefix(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!("{name}/") }
}

/// Whether a directory has content, which makes it exist.
pub(super) fn has_children(container: &Container, name: &str) -> bool {
    let prefix = directory_prefix(name);
    let first = container.blobs.range(prefix.clone()..).next();
    first.is_some_and(|(name, _)| name.starts_with(&prefix))
}

pub(super) fn is_directory(container: &Container, name: &str) -> bool {
    name.is_empty()
        || has_children(container, name)
        || container.blobs.get(name).is_some_and(Blob::is_directory)
}

/// Creates the missing parents of a path.
fn create_parents(
    container: &mut Container,
    name: &str,
    revision: &Revision,
) -> Result<(), StorageError> {
    for (end, _) in name.match_indices('/') {
        let Some(parent) = name.get(..end) else {
            continue;
        };
        match container.blobs.get(parent) {
            Some(blob) if blob.is_directory() => {}
            Some(_) => {
                return Err(StorageError::new(
                    409,
                    "PathConflict",
                    "A parent of the specified path is a file.",
                ));
            }
            None => {
                drop(container.blobs.insert(parent.to_owned(), Blob::directory(revision.clone())));
            }
        }
    }
    Ok(())
}

pub(super) fn create(call: &Call<'_>, directory: bool) -> Result<Response, StorageError> {
    let name = &call.target.name;
    let properties = properties_of(call.request)?.unwrap_or_default();
    let mut store = call.storage.store();
    let revision = store.next_revision();
    let container = filesystem_mut(&mut store, &call.target.container)?;
    let existing = container.blobs.get(name);
    conditional_headers::check(
        call.request,
        existing.and_then(Blob::etag_and_time),
        AccessKind::Write,
    )?;
    let is_directory = is_directory(container, name);
    if (existing.is_some() || is_directory) && is_directory != directory {
        let message = "The resource type specified does not match that of the path.";
        return Err(StorageError::new(409, "ResourceTypeMismatch", message));
    }
    let lease = match existing {
        Some(blob) => {
            blob.lease.check(call.request, true)?;
            blob.lease.clone()
        }
        None => Lease::default(),
    };
    create_parents(container, name, &revision)?;
    let mut blob = if directory {
        Blob::directory(revision.clone())
    } else {
        Blob::new(BlobType::Block, Content::default(), revision.clone())
    };
    blob.lease = lease;
    blob.metadata.extend(properties.into_iter().filter(|(name, _)| name != DIRECTORY_MARK));
    put_headers(&mut blob, call.request);
    if let Some(permissions) = call.request.header("x-ms-permissions") {
        blob.access.permissions = to_symbolic(permissions)?;
    }
    container.unflushed.remove(name);
    container.uncommitted.remove(name);
    container.blobs.insert(name.clone(), blob);
    Ok(with_revision(201, &revision).header("x-ms-request-server-encrypted", "true"))
}

pub(super) fn delete(call: &Call<'_>) -> Result<Response, StorageError> {
    let name = &call.target.name;
    let recursive =
        call.request.query("recursive").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let mut store = call.storage.store();
    let container = filesystem_mut(&mut store, &call.target.container)?;
    if let Some(blob) = container.blobs.get(name) {
        conditional_headers::check(call.request, blob.etag_and_time(), AccessKind::Write)?;
        blob.lease.check(call.request, true)?;
    } else if !is_directory(container, name) {
        return Err(path_not_found());
    }
    if has_children(container, name) && !recursive {
        let message =
            "The recursive query parameter value must be true to delete a non-empty directory.";
        return Err(StorageError::new(409, "DirectoryNotEmpty", message));
    }
    let prefix = directory_prefix(name);
    let is_kept = |other: &String| other != name && !other.starts_with(&prefix);
    container.blobs.retain(|other, _| is_kept(other));
    container.unflushed.retain(|other, _| is_kept(other));
    container.uncommitted.retain(|other, _| is_kept(other));
    Ok(Response::new(200))
}
