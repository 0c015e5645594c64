//! Containers: create, show, change, delete.

use super::Call;
use crate::exchange::Reply;
use crate::storage::clock;
use crate::storage::conditions::{self, Doing};
use crate::storage::failure::Failure;
use crate::storage::store::{Container, Stamp, metadata_of};

fn stamped(reply: Reply, stamp: &Stamp) -> Reply {
    reply.header("etag", &stamp.etag).header("last-modified", &clock::http(stamp.modified))
}

/// Three to 63 letters in lower case, digits and single hyphens, or `$root` and the like.
pub(in crate::storage) fn is_container_name(name: &str) -> bool {
    let letters = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let hyphens = name.starts_with('-') || name.ends_with('-') || name.contains("--");
    matches!(name, "$root" | "$web" | "$logs") || (3..=63).contains(&name.len()) && letters && !hyphens
}

pub(super) fn create(call: &Call<'_>) -> Result<Reply, Failure> {
    let name = &call.target.container;
    if !is_container_name(name) {
        let message = "The specified resource name contains invalid characters.";
        return Err(Failure::new(400, "InvalidResourceName", message));
    }
    let mut store = call.storage.store();
    if store.containers.contains_key(name) {
        let message = "The specified container already exists.";
        return Err(Failure::new(409, "ContainerAlreadyExists", message));
    }
    let stamp = store.stamp();
    let mut container = Container::new(stamp.clone());
    container.metadata = metadata_of(call.request);
    store.containers.insert(name.clone(), container);
    Ok(stamped(Reply::new(201), &stamp))
}

pub(super) fn properties(call: &Call<'_>) -> Result<Reply, Failure> {
    let store = call.storage.store();
    let container = store.container(&call.target.container)?;
    let mut reply = stamped(Reply::new(200), &container.stamp)
        .header("x-ms-lease-status", "unlocked")
        .header("x-ms-lease-state", "available")
        .header("x-ms-has-immutability-policy", "false")
        .header("x-ms-has-legal-hold", "false");
    for (name, value) in &container.metadata {
        reply = reply.field(&format!("x-ms-meta-{name}"), value);
    }
    Ok(reply)
}

pub(super) fn set_metadata(call: &Call<'_>) -> Result<Reply, Failure> {
    let mut store = call.storage.store();
    let stamp = store.stamp();
    let container = store.container_mut(&call.target.container)?;
    conditions::check(call.request, Some(container.stamp.found()), Doing::Writing)?;
    container.metadata = metadata_of(call.request);
    container.stamp = stamp.clone();
    Ok(stamped(Reply::new(200), &stamp))
}

pub(super) fn delete(call: &Call<'_>) -> Result<Reply, Failure> {
    let mut store = call.storage.store();
    let container = store.container(&call.target.container)?;
    conditions::check(call.request, Some(container.stamp.found()), Doing::Writing)?;
    store.containers.remove(&call.target.container);
    Ok(Reply::new(202))
}
