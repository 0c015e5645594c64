//! Changes a blob: puts, appends, sets properties and metadata, leases, deletes.

use std::collections::BTreeMap;

use super::Call;
use super::read::stamped;
use crate::content::Content;
use crate::exchange::{Received, Reply};
use crate::storage::conditions::{self, Doing};
use crate::storage::failure::{Failure, bad_header, missing_header, not_implemented};
use crate::storage::store::{Blob, Container, Kind, PROPERTIES, metadata_of};

/// The longest block that is appended at once: 100 MiB, as the service has it from 2022-11-02 on.
const LONGEST_APPEND: u64 = 100 << 20;

/// How often an append blob can be appended to.
const MOST_APPENDS: u64 = 50_000;

/// The properties that a request sets by its `x-ms-blob-` header fields.
pub(super) fn properties_of(request: &Received) -> BTreeMap<&'static str, String> {
    let given = PROPERTIES.iter().filter_map(|(field, set_by, _)| Some((*field, request.header(set_by)?.to_owned())));
    given.collect()
}

/// Whether a write may replace what is there, with its conditions and lease.
pub(super) fn check_replaced(container: &Container, name: &str, request: &Received) -> Result<(), Failure> {
    let there = container.blobs.get(name);
    conditions::check(request, there.and_then(Blob::found), Doing::Writing)?;
    match there {
        Some(blob) if blob.is_directory() && !metadata_of(request).contains_key(crate::storage::store::FOLDER) => {
            let message = "This operation is not permitted on a directory.";
            Err(Failure::new(409, "OperationNotAllowedOnDirectory", message))
        }
        Some(blob) => blob.lease.check(request, true),
        None => Ok(()),
    }
}

/// Puts a new blob where another may be, whose lease and time of creation it keeps.
pub(super) fn replace(container: &mut Container, name: &str, mut blob: Blob) {
    if let Some(old) = container.blobs.get(name) {
        blob.lease = old.lease.clone();
        blob.created = old.created;
        blob.access = old.access.clone();
    }
    container.uncommitted.remove(name);
    container.blobs.insert(name.to_owned(), blob);
}

fn encrypted(reply: Reply) -> Reply {
    reply.header("x-ms-request-server-encrypted", "true")
}

pub(super) fn put(call: Call<'_>) -> Result<Reply, Failure> {
    let request = call.request;
    let kind = match request.header("x-ms-blob-type").ok_or_else(|| missing_header("x-ms-blob-type"))? {
        "BlockBlob" => Kind::Block,
        "AppendBlob" if call.body.is_empty() => Kind::Append,
        "AppendBlob" => return Err(bad_header("Content-Length", &call.body.len().to_string())),
        "PageBlob" => return Err(not_implemented("page blobs")),
        other => return Err(bad_header("x-ms-blob-type", other)),
    };
    let mut store = call.storage.store();
    let stamp = store.stamp();
    let container = store.container_mut(&call.target.container)?;
    check_replaced(container, &call.target.name, request)?;
    let mut blob = Blob::new(kind, call.body, stamp.clone());
    // Put Blob takes a property by its plain name too; the `x-ms-blob-` one goes before it.
    let plain = PROPERTIES.iter().filter_map(|(field, ..)| Some((*field, request.header(field)?.to_owned())));
    blob.properties.extend(plain);
    blob.properties.extend(properties_of(request));
    blob.metadata = metadata_of(request);
    let mut reply = encrypted(stamped(201, &stamp));
    if let Some(md5) = blob.properties.get("content-md5") {
        reply = reply.header("content-md5", md5);
    }
    replace(container, &call.target.name, blob);
    Ok(reply)
}

pub(super) fn append(call: &Call<'_>) -> Result<Reply, Failure> {
    let request = call.request;
    let mut store = call.storage.store();
    let stamp = store.stamp();
    let blob = store.container_mut(&call.target.container)?.blob_mut(&call.target.name)?;
    conditions::check(request, blob.found(), Doing::Writing)?;
    blob.lease.check(request, true)?;
    if blob.kind != Kind::Append {
        let message = "The blob type is invalid for this operation.";
        return Err(Failure::new(409, "InvalidBlobType", message));
    }
    let number = |name: &'static str| match request.header(name) {
        Some(text) => text.parse::<u64>().map(Some).map_err(|_| bad_header(name, text)),
        None => Ok(None),
    };
    let position = blob.content.len();
    if number("x-ms-blob-condition-appendpos")?.is_some_and(|expected| expected != position) {
        let message = "The append position condition specified was not met.";
        return Err(Failure::new(412, "AppendPositionConditionNotMet", message));
    }
    if number("x-ms-blob-condition-maxsize")?.is_some_and(|most| position + call.body.len() > most) {
        let message = "The max blob size condition specified was not met.";
        return Err(Failure::new(412, "MaxBlobSizeConditionNotMet", message));
    }
    if call.body.is_empty() {
        return Err(bad_header("Content-Length", "0"));
    }
    if call.body.len() > LONGEST_APPEND {
        let message = "The request body is too large and exceeds the maximum permissible limit.";
        return Err(Failure::new(413, "RequestBodyTooLarge", message));
    }
    if blob.appended >= MOST_APPENDS {
        let message = "The committed block count cannot exceed the maximum limit of 50,000 blocks.";
        return Err(Failure::new(409, "BlockCountExceedsLimit", message));
    }
    blob.content.append(&call.body);
    blob.appended += 1;
    blob.stamp = stamp;
    Ok(encrypted(stamped(201, &blob.stamp))
        .header("x-ms-blob-append-offset", &position.to_string())
        .header("x-ms-blob-committed-block-count", &blob.appended.to_string()))
}

/// A change of a blob that is there, within its conditions and lease.
fn change(call: &Call<'_>, change: impl FnOnce(&mut Blob)) -> Result<Reply, Failure> {
    let mut store = call.storage.store();
    let stamp = store.stamp();
    let blob = store.container_mut(&call.target.container)?.blob_mut(&call.target.name)?;
    conditions::check(call.request, blob.found(), Doing::Writing)?;
    blob.lease.check(call.request, true)?;
    change(blob);
    blob.stamp = stamp;
    Ok(stamped(200, &blob.stamp))
}

pub(super) fn set_metadata(call: &Call<'_>) -> Result<Reply, Failure> {
    change(call, |blob| blob.metadata = metadata_of(call.request)).map(encrypted)
}

/// Sets all at once: what the request does not name is empty afterwards.
pub(super) fn set_properties(call: &Call<'_>) -> Result<Reply, Failure> {
    change(call, |blob| blob.properties = properties_of(call.request))
}

pub(super) fn lease(call: &Call<'_>) -> Result<Reply, Failure> {
    let mut store = call.storage.store();
    let blob = store.container_mut(&call.target.container)?.blob_mut(&call.target.name)?;
    conditions::check(call.request, blob.found(), Doing::Writing)?;
    let outcome = blob.lease.act(call.request, || call.storage.request_id())?;
    let mut reply = stamped(outcome.status, &blob.stamp);
    if let Some(id) = outcome.id {
        reply = reply.header("x-ms-lease-id", &id);
    }
    if let Some(seconds) = outcome.seconds {
        reply = reply.header("x-ms-lease-time", &seconds.to_string());
    }
    Ok(reply)
}

pub(super) fn delete(call: &Call<'_>) -> Result<Reply, Failure> {
    let mut store = call.storage.store();
    let container = store.container_mut(&call.target.container)?;
    let name = &call.target.name;
    let blob = container.blob(name)?;
    conditions::check(call.request, blob.found(), Doing::Writing)?;
    blob.lease.check(call.request, true)?;
    if blob.is_directory() && container.blobs.keys().any(|other| other.starts_with(&format!("{name}/"))) {
        let message = "This operation is not permitted on a non-empty directory.";
        return Err(Failure::new(409, "DirectoryIsNotEmpty", message));
    }
    container.blobs.remove(name);
    container.uncommitted.remove(name);
    Ok(Reply::new(202).header("x-ms-delete-type-permanent", "true"))
}

/// The content of a list of blocks, in its order.
pub(super) fn joined(blocks: &[(String, Content)]) -> Content {
    let mut content = Content::default();
    blocks.iter().for_each(|(_, block)| content.append(block));
    content
}
