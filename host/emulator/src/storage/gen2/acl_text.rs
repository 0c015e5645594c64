//! The text of permissions and ACLs.

use crate::storage::storage_error::{StorageError, invalid_header};

/// Converts a permission to symbolic form, `rwxr-x---`, from that or from octal digits.
pub(super) fn to_symbolic(text: &str) -> Result<String, StorageError> {
    let invalid = || invalid_header("x-ms-permissions", text);
    if matches!(text.len(), 3 | 4) && text.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
        let digits = text.bytes().skip(text.len() - 3).map(|b| b - b'0');
        let letter = |digit: u8, bit: u8, letter: char| if digit & bit == 0 { '-' } else { letter };
        return Ok(digits
            .flat_map(|d| [letter(d, 4, 'r'), letter(d, 2, 'w'), letter(d, 1, 'x')])
            .collect());
    }
    let mut letters = text.trim_end_matches('+').chars();
    let is_valid = letters.clone().count() == 9
        && letters.by_ref().zip("rwxrwxrwx".chars().enumerate()).all(|(c, (index, letter))| {
            c == letter || c == '-' || index == 8 && matches!(c, 't' | 'T')
        });
    if is_valid { Ok(text.to_owned()) } else { Err(invalid()) }
}

/// The ACL of a permission.
pub(super) fn acl_of(permissions: &str) -> String {
    let part = |from: usize| permissions.get(from..from + 3).unwrap_or("---");
    format!("user::{},group::{},other::{}", part(0), part(3), part(6))
}

/// Whether it is a list of ACL entries: `[default:]kind:name:rwx`.
pub(super) fn is_acl(text: &str) -> bool {
    text.split(',').all(|entry| {
        let entry = entry.strip_prefix("default:").unwrap_or(entry);
        match entry.split(':').collect::<Vec<_>>().as_slice() {
            [kind, _, permissions] => {
                matches!(*kind, "user" | "group" | "mask" | "other")
                    && permissions.len() == 3
                    && permissions
                        .chars()
                        .zip("rwx".chars())
                        .all(|(c, letter)| c == letter || c == '-')
            }
            _ => false,
        }
    })
}

/// The permission of an ACL.
pub(super) fn permissions_of(acl: &str) -> String {
    let entry_of =
        |kind: &str| acl.split(',').find_map(|entry| entry.strip_prefix(kind)).unwrap_or("---");
    let has_more = acl
        .split(',')
        .any(|entry| !["user::", "group::", "other::"].iter().any(|kind| entry.starts_with(kind)));
    format!(
        "{}{}{}{}",
        entry_of("user::"),
        entry_of("group::"),
        entry_of("other::"),
        if has_more { "+" } else { "" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_read_in_both_forms() {
        for (text, expected) in
            [("750", "rwxr-x---"), ("0640", "rw-r-----"), ("rwxr-x--t", "rwxr-x--t")]
        {
            assert_eq!(to_symbolic(text).unwrap(), expected);
        }
        for text in ["", "789", "rwx", "xwrxwrxwr"] {
            assert!(to_symbolic(text).is_err(), "{text}");
        }
        assert_eq!(
            permissions_of("user::rwx,user:someone:r-x,group::r-x,other::---"),
            "rwxr-x---+"
        );
    }
}
