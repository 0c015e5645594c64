//! Data Lake Gen2 ([REST API]): the containers of Blob as filesystems, their blobs as files.
//!
//! A directory is an empty blob with a mark in its metadata. A prefix of blob names is a directory
//! as well.
//!
//! [REST API]: https://learn.microsoft.com/rest/api/storageservices/data-lake-storage-gen2

mod access_control;
mod acl_text;
mod file_read;
mod file_write;
mod filesystems;
mod path_listing;
mod paths;
mod rename;

use std::io;

use super::authentication::{authenticate_bearer, authorize};
use super::blob_path::BlobPath;
use super::blob_store::{Blob, BlobStore, Container};
use super::conditional_headers::{self, AccessKind};
use super::storage_error::{StorageError, invalid_parameter, not_implemented};
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    ListFilesystems,
    CreateFilesystem,
    SetFilesystem,
    GetFilesystem,
    DeleteFilesystem,
    ListPaths,
    Create { directory: bool },
    Rename,
    Append,
    Flush,
    SetProperties,
    SetAccess,
    Read,
    Status,
    Access,
    CheckAccess,
    Delete,
}

impl Operation {
    fn from_request(request: &Request, target: &BlobPath) -> Result<Self, StorageError> {
        let method = request.method.as_str();
        let resource = request.query("resource").unwrap_or_default().to_ascii_lowercase();
        let action = request.query("action").unwrap_or_default().to_ascii_lowercase();
        let renames = request.headers.contains_key("x-ms-rename-source");
        if target.container.is_empty() {
            return match (method, resource.as_str()) {
                ("GET", "account") => Ok(Self::ListFilesystems),
                _ => Err(invalid_parameter("resource", &resource)),
            };
        }
        if target.name.is_empty() {
            return match (method, resource.as_str(), action.as_str()) {
                ("PUT", "filesystem", _) => Ok(Self::CreateFilesystem),
                ("PATCH", "filesystem", _) => Ok(Self::SetFilesystem),
                ("HEAD", "filesystem", _) => Ok(Self::GetFilesystem),
                ("DELETE", "filesystem", _) => Ok(Self::DeleteFilesystem),
                ("GET", "filesystem", _) => Ok(Self::ListPaths),
                ("HEAD", _, "getaccesscontrol" | "getstatus")
                | ("PATCH", _, "setaccesscontrol") => {
                    Err(not_implemented("the root directory's access"))
                }
                _ => Err(invalid_parameter("resource", &resource)),
            };
        }
        match (method, resource.as_str(), action.as_str()) {
            ("PUT", "", _) if renames => Ok(Self::Rename),
            ("PUT", "file", _) => Ok(Self::Create { directory: false }),
            ("PUT", "directory", _) => Ok(Self::Create { directory: true }),
            ("PUT", ..) => Err(invalid_parameter("resource", &resource)),
            ("PATCH", _, "append") => Ok(Self::Append),
            ("PATCH", _, "flush") => Ok(Self::Flush),
            ("PATCH", _, "setproperties") => Ok(Self::SetProperties),
            ("PATCH", _, "setaccesscontrol") => Ok(Self::SetAccess),
            ("PATCH", _, "setaccesscontrolrecursive") | ("POST", ..) => {
                Err(not_implemented("this action"))
            }
            ("GET", _, "") => Ok(Self::Read),
            ("HEAD", _, "" | "getstatus") => Ok(Self::Status),
            ("HEAD", _, "getaccesscontrol") => Ok(Self::Access),
            ("HEAD", _, "checkaccess") => Ok(Self::CheckAccess),
            ("DELETE", ..) => Ok(Self::Delete),
            ("PATCH" | "HEAD" | "GET", ..) => Err(invalid_parameter("action", &action)),
            _ => {
                let message = "The resource doesn't support the specified HTTP verb.";
                Err(StorageError::new(405, "UnsupportedHttpVerb", message))
            }
        }
    }
}

pub(super) async fn handle(
    azure: &Azure,
    request: &Request,
    body: &mut RequestBody,
    request_id: &str,
) -> io::Result<(Response, Option<String>)> {
    let head = request.method == "HEAD";
    let version = request.header("x-ms-version");
    let respond = |response: Response, name| {
        Ok((with_common_headers(response, request, version, request_id), name))
    };
    let fail = |error: &StorageError, name| respond(error.json(request_id, head), name);

    let mut target = BlobPath::of_request(request);
    target.name = target.name.trim_matches('/').to_owned();
    let identity = match authenticate_bearer(azure, request) {
        Ok(identity) => identity,
        Err(error) => return fail(&error, None),
    };
    let name = Some(identity.name.clone());
    let authorized = authorize(identity, &request.path).and_then(|()| {
        if let Some(source) = request.header("x-ms-rename-source") {
            authorize(identity, source)?;
        }
        check_length(request)?;
        Operation::from_request(request, &target)
    });
    let operation = match authorized {
        Ok(operation) => operation,
        Err(error) => return fail(&error, name),
    };
    let body =
        if operation == Operation::Append { body.content().await? } else { Content::default() };
    match dispatch(operation, Call { storage: &azure.storage, request, target, body }) {
        Ok(response) => respond(response, name),
        Err(mut error) => {
            // Conditions fail with Blob's error.
            if error.code == "BlobAlreadyExists" {
                error.code = "PathAlreadyExists";
                error.message = "The specified path already exists.".to_owned();
            }
            fail(&error, name)
        }
    }
}

fn dispatch(operation: Operation, call: Call<'_>) -> Result<Response, StorageError> {
    match operation {
        Operation::ListFilesystems => filesystems::list(&call),
        Operation::CreateFilesystem => filesystems::create(&call),
        Operation::SetFilesystem => filesystems::set_properties(&call),
        Operation::GetFilesystem => filesystems::get(&call),
        Operation::DeleteFilesystem => filesystems::delete(&call),
        Operation::ListPaths => path_listing::paths(&call),
        Operation::Create { directory } => paths::create(&call, directory),
        Operation::Rename => rename::rename(&call),
        Operation::Append => file_write::append(call),
        Operation::Flush => file_write::flush(&call),
        Operation::SetProperties => file_write::set_properties(&call),
        Operation::SetAccess => access_control::set(&call),
        Operation::Read => file_read::content(&call),
        Operation::Status => file_read::status(&call),
        Operation::Access => access_control::get(&call),
        Operation::CheckAccess => access_control::check(&call),
        Operation::Delete => paths::delete(&call),
    }
}

fn filesystem_not_found() -> StorageError {
    StorageError::new(404, "FilesystemNotFound", "The specified filesystem does not exist.")
}

fn path_not_found() -> StorageError {
    StorageError::new(404, "PathNotFound", "The specified path does not exist.")
}

fn filesystem<'s>(store: &'s BlobStore, name: &str) -> Result<&'s Container, StorageError> {
    store.containers.get(name).ok_or_else(filesystem_not_found)
}

fn filesystem_mut<'s>(
    store: &'s mut BlobStore,
    name: &str,
) -> Result<&'s mut Container, StorageError> {
    store.containers.get_mut(name).ok_or_else(filesystem_not_found)
}

/// The path that a request changes, after checking conditions and lease.
fn path_mut<'s>(store: &'s mut BlobStore, call: &Call<'_>) -> Result<&'s mut Blob, StorageError> {
    let container = filesystem_mut(store, &call.target.container)?;
    let blob = container.blobs.get_mut(&call.target.name).ok_or_else(path_not_found)?;
    conditional_headers::check(call.request, blob.etag_and_time(), AccessKind::Write)?;
    blob.lease.check(call.request, true)?;
    Ok(blob)
}
