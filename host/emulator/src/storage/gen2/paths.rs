//! Files and directories: create and delete.

use super::filesystems::{properties_of, stamped};
use super::{Call, filesystem_mut, no_path};
use crate::content::Content;
use crate::exchange::Reply;
use crate::storage::conditions::{self, Doing};
use crate::storage::failure::Failure;
use crate::storage::store::{Blob, Container, FOLDER, Kind, Stamp};

/// What the names of everything in a directory begin with.
pub(super) fn inside(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!("{name}/") }
}

/// Whether there is something in a directory, which is enough for it to be there.
pub(super) fn has_inside(container: &Container, name: &str) -> bool {
    let inside = inside(name);
    let first = container.blobs.range(inside.clone()..).next();
    first.is_some_and(|(name, _)| name.starts_with(&inside))
}

pub(super) fn is_directory(container: &Container, name: &str) -> bool {
    name.is_empty() || has_inside(container, name) || container.blobs.get(name).is_some_and(Blob::is_directory)
}

/// Makes the directories above a name, where they are missing.
fn make_parents(container: &mut Container, name: &str, stamp: &Stamp) -> Result<(), Failure> {
    for (end, _) in name.match_indices('/') {
        let Some(parent) = name.get(..end) else { continue };
        match container.blobs.get(parent) {
            Some(blob) if blob.is_directory() => {}
            Some(_) => return Err(Failure::new(409, "PathConflict", "A parent of the specified path is a file.")),
            None => drop(container.blobs.insert(parent.to_owned(), Blob::directory(stamp.clone()))),
        }
    }
    Ok(())
}

pub(super) fn create(call: &Call<'_>, directory: bool) -> Result<Reply, Failure> {
    let name = &call.target.name;
    let properties = properties_of(call.request)?.unwrap_or_default();
    let mut store = call.storage.store();
    let stamp = store.stamp();
    let container = filesystem_mut(&mut store, &call.target.container)?;
    let there = container.blobs.get(name);
    conditions::check(call.request, there.and_then(Blob::found), Doing::Writing)?;
    let is_directory = is_directory(container, name);
    if (there.is_some() || is_directory) && is_directory != directory {
        let message = "The resource type specified does not match that of the path.";
        return Err(Failure::new(409, "ResourceTypeMismatch", message));
    }
    let lease = match there {
        Some(blob) => {
            blob.lease.check(call.request, true)?;
            blob.lease.clone()
        }
        None => super::super::lease::Lease::default(),
    };
    make_parents(container, name, &stamp)?;
    let mut blob = if directory {
        Blob::directory(stamp.clone())
    } else {
        Blob::new(Kind::Block, Content::default(), stamp.clone())
    };
    blob.lease = lease;
    blob.metadata.extend(properties.into_iter().filter(|(name, _)| name != FOLDER));
    super::write::put_headers(&mut blob, call.request);
    if let Some(permissions) = call.request.header("x-ms-permissions") {
        blob.access.permissions = super::access::symbolic(permissions)?;
    }
    container.unflushed.remove(name);
    container.uncommitted.remove(name);
    container.blobs.insert(name.clone(), blob);
    Ok(stamped(201, &stamp).header("x-ms-request-server-encrypted", "true"))
}

pub(super) fn delete(call: &Call<'_>) -> Result<Reply, Failure> {
    let name = &call.target.name;
    let recursive = call.request.query("recursive").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let mut store = call.storage.store();
    let container = filesystem_mut(&mut store, &call.target.container)?;
    if let Some(blob) = container.blobs.get(name) {
        conditions::check(call.request, blob.found(), Doing::Writing)?;
        blob.lease.check(call.request, true)?;
    } else if !is_directory(container, name) {
        return Err(no_path());
    }
    if has_inside(container, name) && !recursive {
        let message = "The recursive query parameter value must be true to delete a non-empty directory.";
        return Err(Failure::new(409, "DirectoryNotEmpty", message));
    }
    let inside = inside(name);
    let stays = |other: &String| other != name && !other.starts_with(&inside);
    container.blobs.retain(|other, _| stays(other));
    container.unflushed.retain(|other, _| stays(other));
    container.uncommitted.retain(|other, _| stays(other));
    Ok(Reply::new(200))
}
