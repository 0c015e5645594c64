//! Blob Storage ([REST API](https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api)).
//!
//! [`answer`] finds the operation, asks whether the caller may, and only then reads the body.

mod blocks;
mod containers;
mod copy;
mod listing;
mod operation;
mod read;
mod write;

use std::io;

pub(super) use self::containers::is_container_name;
use self::copy::Source;
use self::operation::Operation;
use super::access::{Caller, blob_caller, check_role};
use super::failure::{Failure, not_implemented};
use super::sas::{mismatch, refused};
use super::target::Target;
use super::{Storage, check_length, dress};
use crate::Azure;
use crate::body::RequestBody;
use crate::content::Content;
use crate::exchange::{Received, Reply};

/// A request whose caller may, with its body.
struct Call<'a> {
    storage: &'a Storage,
    request: &'a Received,
    target: Target,
    body: Content,
    source: Option<Source>,
    request_id: &'a str,
}

pub(super) async fn answer(
    azure: &Azure,
    request: &Received,
    body: &mut RequestBody,
    request_id: &str,
) -> io::Result<(Reply, Option<String>)> {
    let version = request.header("x-ms-version").or_else(|| request.query("sv"));
    let head = request.method == "HEAD";
    let done = |reply: Reply, name| Ok((dress(reply, request, version, request_id), name));
    let refuse = |failure: &Failure, name| done(failure.xml(request_id, head), name);

    let target = Target::of(request);
    let caller = match blob_caller(azure, request, &target) {
        Ok(caller) => caller,
        Err(failure) => return refuse(&failure, None),
    };
    let name = caller.name();
    let prepared = Operation::of(request, &target).and_then(|operation| {
        allow(azure, request, &caller, operation, &target)?;
        check_length(request)?;
        let source = if operation == Operation::Copy { Some(copy::source(azure, request, &caller)?) } else { None };
        Ok((operation, source))
    });
    let (operation, source) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => return refuse(&failure, name),
    };
    let body = if operation.takes_body() { body.content().await? } else { Content::default() };
    let storage = &azure.storage;
    match act(operation, Call { storage, request, target, body, source, request_id }) {
        Ok(reply) => done(overridden(reply, &caller), name),
        Err(failure) => refuse(&failure, name),
    }
}

fn allow(
    azure: &Azure,
    request: &Received,
    caller: &Caller<'_>,
    operation: Operation,
    target: &Target,
) -> Result<(), Failure> {
    match caller {
        Caller::Identity(identity) => check_role(identity, &request.path),
        Caller::Sas(_) if target.container.is_empty() => Err(refused("Signature did not match.")),
        Caller::Sas(sas) => {
            let exists = azure.storage.store().has(&target.container, &target.name);
            match operation.permission(request, exists) {
                Some(any_of) => sas.permits(any_of),
                None => Err(mismatch()),
            }
        }
    }
}

fn act(operation: Operation, call: Call<'_>) -> Result<Reply, Failure> {
    match operation {
        Operation::ListContainers => listing::containers(&call),
        Operation::CreateContainer => containers::create(&call),
        Operation::GetContainer => containers::properties(&call),
        Operation::SetContainerMetadata => containers::set_metadata(&call),
        Operation::DeleteContainer => containers::delete(&call),
        Operation::ListBlobs => listing::blobs(&call),
        Operation::Put => write::put(call),
        Operation::Copy => copy::copy(call),
        Operation::PutBlock => blocks::put(call),
        Operation::PutBlockList => blocks::commit(&call),
        Operation::GetBlockList => blocks::list(&call),
        Operation::Append => write::append(&call),
        Operation::Get => read::get(&call, false),
        Operation::GetProperties => read::get(&call, true),
        Operation::GetMetadata => read::metadata(&call),
        Operation::SetMetadata => write::set_metadata(&call),
        Operation::SetProperties => write::set_properties(&call),
        Operation::Lease => write::lease(&call),
        Operation::Delete => write::delete(&call),
        Operation::Tags => Err(not_implemented("tags")),
    }
}

/// With the header fields that a shared access signature sets.
fn overridden(mut reply: Reply, caller: &Caller<'_>) -> Reply {
    if let Caller::Sas(sas) = caller
        && reply.status.is_success()
        && reply.headers.contains_key("x-ms-blob-type")
    {
        for (parameter, field) in super::sas::OVERRIDES {
            let value = sas.get(parameter);
            if !value.is_empty() {
                reply = reply.header(field, value);
            }
        }
    }
    reply
}
