//! Reads a file, or what there is to know about a path.

use super::filesystems::{stamped, written};
use super::{Call, filesystem, no_path, paths};
use crate::exchange::Reply;
use crate::storage::conditions::{self, Doing};
use crate::storage::failure::Failure;
use crate::storage::range;
use crate::storage::store::{Blob, PROPERTIES, Stamp};

/// What an operation sees at its path. A directory that nobody made has nothing of its own.
pub(super) fn found(call: &Call<'_>) -> Result<Blob, Failure> {
    let store = call.storage.store();
    let container = filesystem(&store, &call.target.container)?;
    match container.blobs.get(&call.target.name) {
        Some(blob) => Ok(blob.clone()),
        None if paths::is_directory(container, &call.target.name) => {
            let stamp = Stamp { etag: container.stamp.etag.clone(), modified: container.stamp.modified };
            Ok(Blob::directory(stamp))
        }
        None => Err(no_path()),
    }
}

fn described(status: u16, blob: &Blob) -> Reply {
    let mut reply = stamped(status, &blob.stamp);
    if !blob.is_directory() {
        for (field, ..) in PROPERTIES {
            if let Some(value) = blob.properties.get(field).filter(|value| !value.is_empty()) {
                reply = reply.header(field, value);
            }
        }
    }
    let (state, lease, duration) = blob.lease.describe();
    if let Some(duration) = duration {
        reply = reply.header("x-ms-lease-duration", duration);
    }
    reply
        .header("accept-ranges", "bytes")
        .header("x-ms-resource-type", if blob.is_directory() { "directory" } else { "file" })
        .header("x-ms-properties", &written(&blob.metadata))
        .header("x-ms-owner", &blob.access.owner)
        .header("x-ms-group", &blob.access.group)
        .header("x-ms-permissions", &blob.access.permissions)
        .header("x-ms-lease-state", state)
        .header("x-ms-lease-status", lease)
        .header("x-ms-server-encrypted", "true")
}

pub(super) fn status(call: &Call<'_>) -> Result<Reply, Failure> {
    let blob = found(call)?;
    conditions::check(call.request, blob.found(), Doing::Reading)?;
    Ok(described(200, &blob).header("content-length", &blob.content.len().to_string()))
}

pub(super) fn content(call: &Call<'_>) -> Result<Reply, Failure> {
    let blob = found(call)?;
    conditions::check(call.request, blob.found(), Doing::Reading)?;
    blob.lease.check(call.request, false)?;
    let length = blob.content.len();
    match range::wanted(call.request, length)? {
        Some((first, last)) => {
            let mut reply = described(206, &blob);
            if let Some(md5) = blob.properties.get("content-md5") {
                reply.headers.remove("content-md5");
                reply = reply.header("x-ms-content-md5", md5);
            }
            reply = reply.header("content-range", &format!("bytes {first}-{last}/{length}"));
            reply.body = blob.content.slice(first, last.saturating_add(1));
            Ok(reply)
        }
        None => {
            let mut reply = described(200, &blob);
            reply.body = blob.content;
            Ok(reply)
        }
    }
}
