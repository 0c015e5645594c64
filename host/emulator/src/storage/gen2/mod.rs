//! Data Lake Gen2 ([REST API](https://learn.microsoft.com/rest/api/storageservices/data-lake-storage-gen2)): the containers of
//! Blob as filesystems, their blobs as files.
//!
//! A directory is an empty blob that says in its metadata that it is one. Where blobs have slashes in their names and nobody
//! made the directories, those are there too.

mod access;
mod filesystems;
mod listing;
mod paths;
mod read;
mod rename;
mod write;

use std::io;

use super::access::{check_role, storage_identity};
use super::conditions::{self, Doing};
use super::failure::{Failure, bad_parameter, not_implemented};
use super::store::{Blob, Container, Store};
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
    fn of(request: &Received, target: &Target) -> Result<Self, Failure> {
        let method = request.method.as_str();
        let resource = request.query("resource").unwrap_or_default().to_ascii_lowercase();
        let action = request.query("action").unwrap_or_default().to_ascii_lowercase();
        let renames = request.headers.contains_key("x-ms-rename-source");
        if target.container.is_empty() {
            return match (method, resource.as_str()) {
                ("GET", "account") => Ok(Self::ListFilesystems),
                _ => Err(bad_parameter("resource", &resource)),
            };
        }
        if target.name.is_empty() {
            return match (method, resource.as_str(), action.as_str()) {
                ("PUT", "filesystem", _) => Ok(Self::CreateFilesystem),
                ("PATCH", "filesystem", _) => Ok(Self::SetFilesystem),
                ("HEAD", "filesystem", _) => Ok(Self::GetFilesystem),
                ("DELETE", "filesystem", _) => Ok(Self::DeleteFilesystem),
                ("GET", "filesystem", _) => Ok(Self::ListPaths),
                ("HEAD", _, "getaccesscontrol" | "getstatus") | ("PATCH", _, "setaccesscontrol") => {
                    Err(not_implemented("the root directory's access"))
                }
                _ => Err(bad_parameter("resource", &resource)),
            };
        }
        match (method, resource.as_str(), action.as_str()) {
            ("PUT", "", _) if renames => Ok(Self::Rename),
            ("PUT", "file", _) => Ok(Self::Create { directory: false }),
            ("PUT", "directory", _) => Ok(Self::Create { directory: true }),
            ("PUT", ..) => Err(bad_parameter("resource", &resource)),
            ("PATCH", _, "append") => Ok(Self::Append),
            ("PATCH", _, "flush") => Ok(Self::Flush),
            ("PATCH", _, "setproperties") => Ok(Self::SetProperties),
            ("PATCH", _, "setaccesscontrol") => Ok(Self::SetAccess),
            ("PATCH", _, "setaccesscontrolrecursive") | ("POST", ..) => Err(not_implemented("this action")),
            ("GET", _, "") => Ok(Self::Read),
            ("HEAD", _, "" | "getstatus") => Ok(Self::Status),
            ("HEAD", _, "getaccesscontrol") => Ok(Self::Access),
            ("HEAD", _, "checkaccess") => Ok(Self::CheckAccess),
            ("DELETE", ..) => Ok(Self::Delete),
            ("PATCH" | "HEAD" | "GET", ..) => Err(bad_parameter("action", &action)),
            _ => {
                let message = "The resource doesn't support the specified HTTP verb.";
                Err(Failure::new(405, "UnsupportedHttpVerb", message))
            }
        }
    }
}

pub(super) async fn answer(
    azure: &Azure,
    request: &Received,
    body: &mut RequestBody,
    request_id: &str,
) -> io::Result<(Reply, Option<String>)> {
    let head = request.method == "HEAD";
    let version = request.header("x-ms-version");
    let done = |reply: Reply, name| Ok((dress(reply, request, version, request_id), name));
    let refuse = |failure: &Failure, name| done(failure.json(request_id, head), name);

    let mut target = Target::of(request);
    target.name = target.name.trim_matches('/').to_owned();
    let identity = match storage_identity(azure, request) {
        Ok(identity) => identity,
        Err(failure) => return refuse(&failure, None),
    };
    let name = Some(identity.name.clone());
    let prepared = check_role(identity, &request.path).and_then(|()| {
        if let Some(source) = request.header("x-ms-rename-source") {
            check_role(identity, source)?;
        }
        check_length(request)?;
        Operation::of(request, &target)
    });
    let operation = match prepared {
        Ok(operation) => operation,
        Err(failure) => return refuse(&failure, name),
    };
    let body = if operation == Operation::Append { body.content().await? } else { Content::default() };
    match act(operation, Call { storage: &azure.storage, request, target, body }) {
        Ok(reply) => done(reply, name),
        Err(mut failure) => {
            // The conditions are Blob's, and so are their words.
            if failure.code == "BlobAlreadyExists" {
                failure.code = "PathAlreadyExists";
                failure.message = "The specified path already exists.".to_owned();
            }
            refuse(&failure, name)
        }
    }
}

fn act(operation: Operation, call: Call<'_>) -> Result<Reply, Failure> {
    match operation {
        Operation::ListFilesystems => filesystems::list(&call),
        Operation::CreateFilesystem => filesystems::create(&call),
        Operation::SetFilesystem => filesystems::set_properties(&call),
        Operation::GetFilesystem => filesystems::get(&call),
        Operation::DeleteFilesystem => filesystems::delete(&call),
        Operation::ListPaths => listing::paths(&call),
        Operation::Create { directory } => paths::create(&call, directory),
        Operation::Rename => rename::rename(&call),
        Operation::Append => write::append(call),
        Operation::Flush => write::flush(&call),
        Operation::SetProperties => write::set_properties(&call),
        Operation::SetAccess => access::set(&call),
        Operation::Read => read::content(&call),
        Operation::Status => read::status(&call),
        Operation::Access => access::get(&call),
        Operation::CheckAccess => access::check(&call),
        Operation::Delete => paths::delete(&call),
    }
}

fn no_filesystem() -> Failure {
    Failure::new(404, "FilesystemNotFound", "The specified filesystem does not exist.")
}

fn no_path() -> Failure {
    Failure::new(404, "PathNotFound", "The specified path does not exist.")
}

fn filesystem<'s>(store: &'s Store, name: &str) -> Result<&'s Container, Failure> {
    store.containers.get(name).ok_or_else(no_filesystem)
}

fn filesystem_mut<'s>(store: &'s mut Store, name: &str) -> Result<&'s mut Container, Failure> {
    store.containers.get_mut(name).ok_or_else(no_filesystem)
}

/// The path that a request changes, if its conditions and the path's lease let it.
fn to_change<'s>(store: &'s mut Store, call: &Call<'_>) -> Result<&'s mut Blob, Failure> {
    let container = filesystem_mut(store, &call.target.container)?;
    let blob = container.blobs.get_mut(&call.target.name).ok_or_else(no_path)?;
    conditions::check(call.request, blob.found(), Doing::Writing)?;
    blob.lease.check(call.request, true)?;
    Ok(blob)
}
