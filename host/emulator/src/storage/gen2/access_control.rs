//! Owners, permissions and ACLs. They are stored and not enforced: roles are.

use super::acl_text::{acl_of, is_acl, permissions_of, to_symbolic};
use super::filesystems::with_revision;
use super::{Call, file_read, path_mut};
use crate::messages::Response;
use crate::storage::conditional_headers::{self, AccessKind};
use crate::storage::storage_error::{StorageError, invalid_header};

pub(super) fn get(call: &Call<'_>) -> Result<Response, StorageError> {
    let blob = file_read::load(call)?;
    conditional_headers::check(call.request, blob.etag_and_time(), AccessKind::Read)?;
    Ok(with_revision(200, &blob.revision)
        .header("x-ms-owner", &blob.access.owner)
        .header("x-ms-group", &blob.access.group)
        .header("x-ms-permissions", &blob.access.permissions)
        .header("x-ms-acl", &blob.access.acl))
}

pub(super) fn check(call: &Call<'_>) -> Result<Response, StorageError> {
    file_read::load(call).map(|blob| with_revision(200, &blob.revision))
}

pub(super) fn set(call: &Call<'_>) -> Result<Response, StorageError> {
    let header = |name: &str| call.request.header(name);
    let (acl, permissions) = (header("x-ms-acl"), header("x-ms-permissions"));
    if acl.is_some() && permissions.is_some() {
        let message = "The x-ms-acl and x-ms-permissions headers are mutually exclusive.";
        return Err(StorageError::new(400, "InvalidHeaderValue", message));
    }
    if let Some(acl) = acl.filter(|acl| !is_acl(acl)) {
        return Err(invalid_header("x-ms-acl", acl));
    }
    let permissions = permissions.map(to_symbolic).transpose()?;
    let mut store = call.storage.store();
    let revision = store.next_revision();
    let blob = path_mut(&mut store, call)?;
    let access = &mut blob.access;
    if let Some(acl) = acl {
        access.permissions = permissions_of(acl);
        acl.clone_into(&mut access.acl);
    }
    if let Some(permissions) = permissions {
        access.acl = acl_of(&permissions);
        access.permissions = permissions;
    }
    if let Some(owner) = header("x-ms-owner") {
        owner.clone_into(&mut access.owner);
    }
    if let Some(group) = header("x-ms-group") {
        group.clone_into(&mut access.group);
    }
    blob.revision = revision.clone();
    Ok(with_revision(200, &revision))
}
