//! Writes a file: appends, flushes what was appended, sets properties.

use super::filesystems::{properties_of, stamped};
use super::{Call, filesystem_mut, no_path, to_change};
use crate::content::Content;
use crate::exchange::{Received, Reply};
use crate::storage::conditions::{self, Doing};
use crate::storage::failure::{Failure, bad_parameter, missing_parameter};
use crate::storage::store::{Blob, Container, FOLDER, PROPERTIES, Stamp};

/// Sets the header fields that a request names: `x-ms-content-type` and so on.
pub(super) fn put_headers(blob: &mut Blob, request: &Received) {
    for (field, ..) in PROPERTIES {
        if let Some(value) = request.header(&format!("x-ms-{field}")) {
            blob.properties.insert(field, value.to_owned());
        }
    }
}

fn position(request: &Received) -> Result<u64, Failure> {
    let text = request.query("position").ok_or_else(|| missing_parameter("position"))?;
    text.parse().map_err(|_| bad_parameter("position", text))
}

fn file<'c>(container: &'c mut Container, name: &str) -> Result<&'c mut Blob, Failure> {
    match container.blobs.get_mut(name) {
        Some(blob) if blob.is_directory() => {
            Err(Failure::new(409, "ResourceTypeMismatch", "The operation is for files, and the path is a directory."))
        }
        Some(blob) => Ok(blob),
        None => Err(no_path()),
    }
}

pub(super) fn append(call: Call<'_>) -> Result<Reply, Failure> {
    let position = position(call.request)?;
    let flush = call.request.query("flush").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let mut store = call.storage.store();
    let stamp = store.stamp();
    let container = filesystem_mut(&mut store, &call.target.container)?;
    let name = &call.target.name;
    let blob = file(container, name)?;
    blob.lease.check(call.request, true)?;
    if position < blob.content.len() {
        return Err(invalid_flush());
    }
    let end = position + call.body.len();
    let pieces = container.unflushed.entry(name.clone()).or_default();
    match pieces.iter_mut().find(|(at, _)| *at == position) {
        Some((_, piece)) => *piece = call.body,
        None => pieces.push((position, call.body)),
    }
    let mut reply = Reply::new(202).header("x-ms-request-server-encrypted", "true");
    if flush {
        commit(container, name, end, &stamp)?;
        reply = reply.header("etag", &stamp.etag);
    }
    Ok(reply)
}

pub(super) fn flush(call: &Call<'_>) -> Result<Reply, Failure> {
    let position = position(call.request)?;
    let mut store = call.storage.store();
    let stamp = store.stamp();
    let container = filesystem_mut(&mut store, &call.target.container)?;
    let blob = file(container, &call.target.name)?;
    conditions::check(call.request, blob.found(), Doing::Writing)?;
    blob.lease.check(call.request, true)?;
    commit(container, &call.target.name, position, &stamp)?;
    if let Ok(blob) = file(container, &call.target.name) {
        put_headers(blob, call.request);
    }
    Ok(stamped(200, &stamp).header("x-ms-request-server-encrypted", "true"))
}

fn invalid_flush() -> Failure {
    let message = "The uploaded data is not contiguous or the position query parameter value is not equal to the length of the \
                   file after appending the uploaded data.";
    Failure::new(400, "InvalidFlushPosition", message)
}

/// Adds what was appended, which must go on from the end of the file without a gap up to this position.
fn commit(container: &mut Container, name: &str, position: u64, stamp: &Stamp) -> Result<(), Failure> {
    let mut pieces = container.unflushed.get(name).cloned().unwrap_or_default();
    pieces.sort_by_key(|(at, _)| *at);
    let blob = file(container, name)?;
    let mut content: Content = blob.content.clone();
    for (at, piece) in &pieces {
        if *at != content.len() {
            return Err(invalid_flush());
        }
        content.append(piece);
    }
    if content.len() != position {
        return Err(invalid_flush());
    }
    blob.content = content;
    blob.blocks.clear();
    blob.stamp = stamp.clone();
    container.unflushed.remove(name);
    Ok(())
}

pub(super) fn set_properties(call: &Call<'_>) -> Result<Reply, Failure> {
    let properties = properties_of(call.request)?;
    let mut store = call.storage.store();
    let stamp = store.stamp();
    let blob = to_change(&mut store, call)?;
    put_headers(blob, call.request);
    if let Some(properties) = properties {
        // What a directory is, it stays.
        blob.metadata.retain(|name, _| name == FOLDER);
        blob.metadata.extend(properties.into_iter().filter(|(name, _)| name != FOLDER));
    }
    blob.stamp = stamp.clone();
    Ok(stamped(200, &stamp))
}
