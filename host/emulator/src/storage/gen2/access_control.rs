//! Owners, permissions and ACLs. They are stored and not enforced: roles are.

use super::filesystems::with_revision;
use super::{Call, file_read, path_mut};
use crate::messages::Response;
use crate::storage::conditional_headers::{self, AccessKind};
use crate::storage::storage_error::{StorageError, invalid_header};

/// Converts a permission to symbolic form, `rwxr-x---`, from that or from octal digits.
pub(super) fn to_symbolic(text: &str) -> Result<String, StorageError> {
    let invalid = || invalid_header("x-ms-permissions", text);
    if matches!(text.len(), 3 | 4) && text.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
        let digits = text.bytes().skip(text.len() - 3).map(|b| b - b'0');
        let letter = |digit: u8, bit: u8, letter: char| if digit & bit == 0 { '-' } else { letter };
        return Ok(digits.flat_map(|d| [letter(d, 4, 'r'), letter(d, 2, 'w'), letter(d, 1, 'x')]).collect());
    }
    let mut letters = text.trim_end_matches('+').chars();
    let is_valid = letters.clone().count() == 9
        && letters
            .by_ref()
            .zip("rwxrwxrwx".chars().enumerate())
            .all(|(c, (index, letter))| c == letter || c == '-' || index == 8 && matches!(c, 't' | 'T'));
    if is_valid { Ok(text.to_owned()) } else { Err(invalid()) }
}

/// The ACL of a permission.
fn acl_of(permissions: &str) -> String {
    let part = |from: usize| permissions.get(from..from + 3).unwrap_or("---");
    format!("user::{},group::{},other::{}", part(0), part(3), part(6))
}

/// Whether it is a list of ACL entries: `[default:]kind:name:rwx`.
fn is_acl(text: &str) -> bool {
    text.split(',').all(|entry| {
        let entry = entry.strip_prefix("default:").unwrap_or(entry);
        match entry.split(':').collect::<Vec<_>>().as_slice() {
            [kind, _, permissions] => {
                matches!(*kind, "user" | "group" | "mask" | "other")
                    && permissions.len() == 3
                    && permissions.chars().zip("rwx".chars()).all(|(c, letter)| c == letter || c == '-')
            }
            _ => false,
        }
    })
}

/// The permission of an ACL.
fn permissions_of(acl: &str) -> String {
    let entry_of = |kind: &str| acl.split(',').find_map(|entry| entry.strip_prefix(kind)).unwrap_or("---");
    let has_more =
        acl.split(',').any(|entry| !["user::", "group::", "other::"].iter().any(|kind| entry.starts_with(kind)));
    format!("{}{}{}{}", entry_of("user::"), entry_of("group::"), entry_of("other::"), if has_more { "+" } else { "" })
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_read_in_both_forms() {
        for (text, expected) in [("750", "rwxr-x---"), ("0640", "rw-r-----"), ("rwxr-x--t", "rwxr-x--t")] {
            assert_eq!(to_symbolic(text).unwrap(), expected);
        }
        for text in ["", "789", "rwx", "xwrxwrxwr"] {
            assert!(to_symbolic(text).is_err(), "{text}");
        }
        assert_eq!(permissions_of("user::rwx,user:someone:r-x,group::r-x,other::---"), "rwxr-x---+");
    }
}
