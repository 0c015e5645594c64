//! Blob Storage ([REST API]).
//!
//! [`handle`] finds the operation, authorizes the caller, and then reads the body.
//!
//! [REST API]: https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api

mod blob_copy;
mod blob_listing;
mod blob_operation;
mod blob_read;
mod blob_write;
mod blocks;
mod containers;

use std::io;

use self::blob_copy::Source;
use self::blob_operation::Operation;
pub(super) use self::containers::is_container_name;
use super::authentication::{Caller, authenticate_blob, authorize};
use super::blob_path::BlobPath;
use super::sas::{authentication_failed, permission_mismatch};
use super::storage_error::{StorageError, not_implemented};
use super::{Storage, check_length, with_common_headers};
use crate::Azure;
use crate::content::Content;
use crate::messages::{Request, Response};
use crate::request_body::RequestBody;

/// An authorized request with its body.
struct Call<'a> {
    storage: &'a Storage,
    request: &'a Request,
    target: BlobPath,
    body: Content,
    source: Option<Source>,
    request_id: &'a str,
}

pub(super) async fn handle(
    azure: &Azure,
    request: &Request,
    body: &mut RequestBody,
    request_id: &str,
) -> io::Result<(Response, Option<String>)> {
    let version = request.header("x-ms-version").or_else(|| request.query("sv"));
    let head = request.method == "HEAD";
    let respond = |response: Response, name| {
        Ok((with_common_headers(response, request, version, request_id), name))
    };
    let fail = |error: &StorageError, name| respond(error.xml(request_id, head), name);

    let target = BlobPath::of_request(request);
    let caller = match authenticate_blob(azure, request, &target) {
        Ok(caller) => caller,
        Err(error) => return fail(&error, None),
    };
    let name = caller.identity_name();
    let authorized = Operation::from_request(request, &target).and_then(|operation| {
        authorize_operation(azure, request, &caller, operation, &target)?;
        check_length(request)?;
        let source = if operation == Operation::Copy {
            Some(blob_copy::source(azure, request, &caller)?)
        } else {
            None
        };
        Ok((operation, source))
    });
    let (operation, source) = match authorized {
        Ok(authorized) => authorized,
        Err(error) => return fail(&error, name),
    };
    let body = if operation.takes_body() { body.content().await? } else { Content::default() };
    let storage = &azure.storage;
    match dispatch(operation, Call { storage, request, target, body, source, request_id }) {
        Ok(response) => respond(with_sas_headers(response, &caller), name),
        Err(error) => fail(&error, name),
    }
}

fn authorize_operation(
    azure: &Azure,
    request: &Request,
    caller: &Caller<'_>,
    operation: Operation,
    target: &BlobPath,
) -> Result<(), StorageError> {
    match caller {
        Caller::Identity(identity) => authorize(identity, &request.path),
        Caller::Sas(_) if target.container.is_empty() => {
            Err(authentication_failed("Signature did not match."))
        }
        Caller::Sas(sas) => {
            let exists = azure.storage.store().has(&target.container, &target.name);
            match operation.required_permissions(request, exists) {
                Some(any_of) => sas.check_permission(any_of),
                None => Err(permission_mismatch()),
            }
        }
    }
}

fn dispatch(operation: Operation, call: Call<'_>) -> Result<Response, StorageError> {
    match operation {
        Operation::ListContainers => blob_listing::containers(&call),
        Operation::CreateContainer => containers::create(&call),
        Operation::GetContainer => containers::properties(&call),
        Operation::SetContainerMetadata => containers::set_metadata(&call),
        Operation::DeleteContainer => containers::delete(&call),
        Operation::ListBlobs => blob_listing::blobs(&call),
        Operation::Put => blob_write::put(call),
        Operation::Copy => blob_copy::copy(call),
        Operation::PutBlock => blocks::put(call),
        Operation::PutBlockList => blocks::commit(&call),
        Operation::GetBlockList => blocks::list(&call),
        Operation::Append => blob_write::append(&call),
        Operation::Get => blob_read::get(&call, false),
        Operation::GetProperties => blob_read::get(&call, true),
        Operation::GetMetadata => blob_read::metadata(&call),
        Operation::SetMetadata => blob_write::set_metadata(&call),
        Operation::SetProperties => blob_write::set_properties(&call),
        Operation::Lease => blob_write::lease(&call),
        Operation::Delete => blob_write::delete(&call),
        Operation::Tags => Err(not_implemented("tags")),
    }
}

/// Adds the header fields that a shared access signature sets.
fn with_sas_headers(mut response: Response, caller: &Caller<'_>) -> Response {
    if let Caller::Sas(sas) = caller
        && response.status.is_success()
        && response.headers.contains_key("x-ms-blob-type")
    {
        for (parameter, field) in super::sas::RESPONSE_HEADERS {
            let value = sas.get(parameter);
            if !value.is_empty() {
                response = response.header(field, value);
            }
        }
    }
    response
}
