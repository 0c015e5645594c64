//! Moves a file, or a directory with all that is in it.

use super::filesystems::stamped;
use super::paths::{has_inside, inside, is_directory};
use super::{Call, filesystem, filesystem_mut};
use crate::exchange::Reply;
use crate::storage::conditions::{self, Doing};
use crate::storage::failure::{Failure, bad_header};
use crate::storage::store::Blob;
use crate::storage::target::Target;

pub(super) fn rename(call: &Call<'_>) -> Result<Reply, Failure> {
    let given = call.request.header("x-ms-rename-source").unwrap_or_default();
    let path = given.split('?').next().unwrap_or_default();
    if !path.starts_with('/') {
        return Err(bad_header("x-ms-rename-source", given));
    }
    let mut source = Target::of_path(path);
    source.name = source.name.trim_matches('/').to_owned();
    let (from, to) = (&source.name, &call.target.name);

    let mut store = call.storage.store();
    let stamp = store.stamp();
    check_destination(call, filesystem(&store, &call.target.container)?)?;
    let origin = filesystem_mut(&mut store, &source.container)?;
    let is_there = !from.is_empty() && (origin.blobs.contains_key(from) || is_directory(origin, from));
    if !is_there {
        let message = "The source path for a rename operation does not exist.";
        return Err(Failure::new(404, "SourcePathNotFound", message));
    }
    if source.container == call.target.container && (from == to || to.starts_with(&inside(from))) {
        let message = "The source and destination paths for a rename operation must not be within each other.";
        return Err(Failure::new(409, "InvalidRenameSourcePath", message));
    }
    if let Some(blob) = origin.blobs.get(from) {
        // The lease of the source has a field of its own; without one, its lease keeps it where it is.
        let leased = matches!(blob.lease.describe().1, "locked");
        if leased && !call.request.headers.contains_key("x-ms-source-lease-id") {
            let message = "There is currently a lease on the source path and no lease ID was specified in the request.";
            return Err(Failure::new(412, "LeaseIdMissing", message));
        }
    }
    let below = inside(from);
    let all: Vec<String> =
        origin.blobs.keys().filter(|name| *name == from || name.starts_with(&below)).cloned().collect();
    let moved: Vec<(String, Blob)> =
        all.into_iter().filter_map(|name| origin.blobs.remove(&name).map(|blob| (name, blob))).collect();
    origin.unflushed.retain(|name, _| name != from && !name.starts_with(&below));
    origin.uncommitted.retain(|name, _| name != from && !name.starts_with(&below));
    let destination = filesystem_mut(&mut store, &call.target.container)?;
    for (name, mut blob) in moved {
        if name == *from {
            blob.stamp = stamp.clone();
        }
        let rest = name.strip_prefix(from.as_str()).unwrap_or_default();
        destination.blobs.insert(format!("{to}{rest}"), blob);
    }
    Ok(stamped(201, &stamp))
}

fn check_destination(call: &Call<'_>, container: &crate::storage::store::Container) -> Result<(), Failure> {
    let name = &call.target.name;
    let there = container.blobs.get(name);
    conditions::check(call.request, there.and_then(Blob::found), Doing::Writing)?;
    if let Some(blob) = there {
        blob.lease.check(call.request, true)?;
    }
    if has_inside(container, name) {
        let message = "The rename destination is a directory that is not empty.";
        return Err(Failure::new(409, "DestinationPathIsNotEmpty", message));
    }
    let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
    if !is_directory(container, parent) {
        let message = "The parent directory of the destination path does not exist.";
        return Err(Failure::new(404, "RenameDestinationParentPathNotFound", message));
    }
    Ok(())
}
