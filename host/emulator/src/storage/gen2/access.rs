//! Owners, permissions and ACLs. The emulator keeps them and enforces none: that is the directory's.

use super::filesystems::stamped;
use super::{Call, read, to_change};
use crate::exchange::Reply;
use crate::storage::conditions::{self, Doing};
use crate::storage::failure::{Failure, bad_header};

/// `rwxr-x---`, from that or from octal digits.
pub(super) fn symbolic(text: &str) -> Result<String, Failure> {
    let invalid = || bad_header("x-ms-permissions", text);
    if matches!(text.len(), 3 | 4) && text.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
        let digits = text.bytes().skip(text.len() - 3).map(|b| b - b'0');
        let letter = |digit: u8, bit: u8, letter: char| if digit & bit == 0 { '-' } else { letter };
        return Ok(digits.flat_map(|d| [letter(d, 4, 'r'), letter(d, 2, 'w'), letter(d, 1, 'x')]).collect());
    }
    let mut letters = text.trim_end_matches('+').chars();
    let good = letters.clone().count() == 9
        && letters.by_ref().zip("rwxrwxrwx".chars().enumerate()).all(|(given, (place, letter))| {
            given == letter || given == '-' || place == 8 && matches!(given, 't' | 'T')
        });
    if good { Ok(text.to_owned()) } else { Err(invalid()) }
}

/// The three entries that a permission stands for.
fn entries(permissions: &str) -> String {
    let part = |from: usize| permissions.get(from..from + 3).unwrap_or("---");
    format!("user::{},group::{},other::{}", part(0), part(3), part(6))
}

/// Whether it is a list of entries: `[default:]kind:name:rwx`.
fn is_acl(text: &str) -> bool {
    text.split(',').all(|entry| {
        let entry = entry.strip_prefix("default:").unwrap_or(entry);
        match entry.split(':').collect::<Vec<_>>().as_slice() {
            [kind, _, what] => {
                matches!(*kind, "user" | "group" | "mask" | "other")
                    && what.len() == 3
                    && what.chars().zip("rwx".chars()).all(|(given, letter)| given == letter || given == '-')
            }
            _ => false,
        }
    })
}

/// The permission that an ACL stands for.
fn permissions(acl: &str) -> String {
    let of = |kind: &str| acl.split(',').find_map(|entry| entry.strip_prefix(kind)).unwrap_or("---");
    let more = acl.split(',').any(|entry| !["user::", "group::", "other::"].iter().any(|kind| entry.starts_with(kind)));
    format!("{}{}{}{}", of("user::"), of("group::"), of("other::"), if more { "+" } else { "" })
}

pub(super) fn get(call: &Call<'_>) -> Result<Reply, Failure> {
    let blob = read::found(call)?;
    conditions::check(call.request, blob.found(), Doing::Reading)?;
    Ok(stamped(200, &blob.stamp)
        .header("x-ms-owner", &blob.access.owner)
        .header("x-ms-group", &blob.access.group)
        .header("x-ms-permissions", &blob.access.permissions)
        .header("x-ms-acl", &blob.access.acl))
}

pub(super) fn check(call: &Call<'_>) -> Result<Reply, Failure> {
    read::found(call).map(|blob| stamped(200, &blob.stamp))
}

pub(super) fn set(call: &Call<'_>) -> Result<Reply, Failure> {
    let header = |name: &str| call.request.header(name);
    let (acl, given) = (header("x-ms-acl"), header("x-ms-permissions"));
    if acl.is_some() && given.is_some() {
        let message = "The x-ms-acl and x-ms-permissions headers are mutually exclusive.";
        return Err(Failure::new(400, "InvalidHeaderValue", message));
    }
    if let Some(acl) = acl.filter(|acl| !is_acl(acl)) {
        return Err(bad_header("x-ms-acl", acl));
    }
    let given = given.map(symbolic).transpose()?;
    let mut store = call.storage.store();
    let stamp = store.stamp();
    let blob = to_change(&mut store, call)?;
    let access = &mut blob.access;
    if let Some(acl) = acl {
        access.permissions = permissions(acl);
        acl.clone_into(&mut access.acl);
    }
    if let Some(given) = given {
        access.acl = entries(&given);
        access.permissions = given;
    }
    if let Some(owner) = header("x-ms-owner") {
        owner.clone_into(&mut access.owner);
    }
    if let Some(group) = header("x-ms-group") {
        group.clone_into(&mut access.group);
    }
    blob.stamp = stamp.clone();
    Ok(stamped(200, &stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_read_in_both_forms() {
        for (text, expected) in [("750", "rwxr-x---"), ("0640", "rw-r-----"), ("rwxr-x--t", "rwxr-x--t")] {
            assert_eq!(symbolic(text).unwrap(), expected);
        }
        for text in ["", "789", "rwx", "xwrxwrxwr"] {
            assert!(symbolic(text).is_err(), "{text}");
        }
        assert_eq!(permissions("user::rwx,user:someone:r-x,group::r-x,other::---"), "rwxr-x---+");
    }
}
