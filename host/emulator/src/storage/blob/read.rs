//! Reads a blob: its content, or what there is to know about it.

use super::Call;
use crate::exchange::Reply;
use crate::storage::conditions::{self, Doing};
use crate::storage::failure::Failure;
use crate::storage::store::{Blob, Kind, PROPERTIES, Stamp};
use crate::storage::{clock, range};

/// An answer with a blob's ETag and time.
pub(super) fn stamped(status: u16, stamp: &Stamp) -> Reply {
    Reply::new(status).header("etag", &stamp.etag).header("last-modified", &clock::http(stamp.modified))
}

/// The header fields of a blob that a read shows.
pub(in crate::storage) fn describe(mut reply: Reply, blob: &Blob) -> Reply {
    for (field, ..) in PROPERTIES {
        if let Some(value) = blob.properties.get(field).filter(|value| !value.is_empty()) {
            reply = reply.header(field, value);
        }
    }
    for (name, value) in &blob.metadata {
        reply = reply.field(&format!("x-ms-meta-{name}"), value);
    }
    let (state, status, duration) = blob.lease.describe();
    reply = reply
        .header("accept-ranges", "bytes")
        .header("x-ms-creation-time", &clock::http(blob.created))
        .header("x-ms-lease-state", state)
        .header("x-ms-lease-status", status)
        .header("x-ms-server-encrypted", "true");
    if let Some(duration) = duration {
        reply = reply.header("x-ms-lease-duration", duration);
    }
    reply
}

pub(super) fn get(call: &Call<'_>, head: bool) -> Result<Reply, Failure> {
    let store = call.storage.store();
    let blob = store.container(&call.target.container)?.blob(&call.target.name)?;
    conditions::check(call.request, blob.found(), Doing::Reading)?;
    blob.lease.check(call.request, false)?;
    let length = blob.content.len();
    // HEAD shows the whole blob, whatever range it asks for.
    let wanted = if head { None } else { range::wanted(call.request, length)? };
    let mut reply = describe(stamped(if wanted.is_some() { 206 } else { 200 }, &blob.stamp), blob);
    reply = reply.header("x-ms-blob-type", blob.kind.name());
    if blob.kind == Kind::Append {
        reply = reply.header("x-ms-blob-committed-block-count", &blob.appended.to_string());
    }
    if let Some(copied) = &blob.copied {
        reply = reply
            .header("x-ms-copy-id", &copied.id)
            .header("x-ms-copy-source", &copied.source)
            .header("x-ms-copy-status", "success")
            .header("x-ms-copy-progress", &format!("{length}/{length}"))
            .header("x-ms-copy-completion-time", &clock::http(copied.at));
    }
    if head {
        return Ok(reply.header("content-length", &length.to_string()));
    }
    match wanted {
        Some((first, last)) => {
            // The sum is of the whole blob, not of the part.
            if let Some(md5) = blob.properties.get("content-md5") {
                reply.headers.remove("content-md5");
                reply = reply.header("x-ms-blob-content-md5", md5);
            }
            reply = reply.header("content-range", &format!("bytes {first}-{last}/{length}"));
            reply.body = blob.content.slice(first, last.saturating_add(1));
        }
        None => reply.body = blob.content.clone(),
    }
    Ok(reply)
}

pub(super) fn metadata(call: &Call<'_>) -> Result<Reply, Failure> {
    let store = call.storage.store();
    let blob = store.container(&call.target.container)?.blob(&call.target.name)?;
    conditions::check(call.request, blob.found(), Doing::Reading)?;
    blob.lease.check(call.request, false)?;
    let mut reply = stamped(200, &blob.stamp);
    for (name, value) in &blob.metadata {
        reply = reply.field(&format!("x-ms-meta-{name}"), value);
    }
    Ok(reply)
}
