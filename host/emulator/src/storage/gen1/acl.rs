//! Permissions, owners and ACLs of the files. They are stored and not enforced: roles are.

use serde_json::json;

use super::file_tree::Node;
use super::{Call, illegal_argument, ok_json};
use crate::messages::Response;
use crate::storage::storage_error::StorageError;

/// A permission in octal, of three or four digits.
pub(super) fn octal(text: &str) -> Result<String, StorageError> {
    let is_valid =
        (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    if is_valid {
        Ok(text.to_owned())
    } else {
        Err(illegal_argument(&format!(
            "Invalid value for webhdfs parameter \"permission\": {text}"
        )))
    }
}

pub(super) fn check(call: &Call<'_>) -> Result<Response, StorageError> {
    let action = call.request.query("fsaction").unwrap_or("---");
    let is_valid = action.len() == 3
        && action.chars().zip("rwx".chars()).all(|(c, letter)| c == letter || c == '-');
    if !is_valid {
        return Err(illegal_argument(&format!(
            "Invalid value for webhdfs parameter \"fsaction\": {action}"
        )));
    }
    call.storage.tree().node(&call.path)?;
    Ok(Response::new(200))
}

pub(super) fn set_permission(call: &Call<'_>) -> Result<Response, StorageError> {
    let permission = call
        .request
        .query("permission")
        .ok_or_else(|| illegal_argument("SETPERMISSION needs a \"permission\""))?;
    let permission = octal(permission)?;
    call.storage.tree().node_mut(&call.path)?.permission = permission;
    Ok(Response::new(200))
}

pub(super) fn set_owner(call: &Call<'_>) -> Result<Response, StorageError> {
    let (owner, group) = (call.request.query("owner"), call.request.query("group"));
    if owner.is_none() && group.is_none() {
        return Err(illegal_argument("SETOWNER needs an \"owner\" or a \"group\""));
    }
    let mut tree = call.storage.tree();
    let node = tree.node_mut(&call.path)?;
    if let Some(owner) = owner {
        owner.clone_into(&mut node.owner);
    }
    if let Some(group) = group {
        group.clone_into(&mut node.group);
    }
    Ok(Response::new(200))
}

pub(super) fn get(call: &Call<'_>) -> Result<Response, StorageError> {
    let tree = call.storage.tree();
    let node = tree.node(&call.path)?;
    Ok(ok_json(&json!({ "AclStatus": {
        "entries": node.acl,
        "group": node.group,
        "owner": node.owner,
        "permission": node.permission,
        "stickyBit": false,
    } })))
}

/// SETACL, MODIFYACLENTRIES, REMOVEACLENTRIES, REMOVEACL, REMOVEDEFAULTACL.
pub(super) fn change(call: &Call<'_>, operation: &str) -> Result<Response, StorageError> {
    let entries = if matches!(operation, "REMOVEACL" | "REMOVEDEFAULTACL") {
        Vec::new()
    } else {
        let spec = call.request.query("aclspec").filter(|spec| !spec.is_empty());
        let spec =
            spec.ok_or_else(|| illegal_argument(&format!("{operation} needs an \"aclspec\"")))?;
        spec.split(',')
            .map(|entry| AclEntry::parse(entry, operation == "REMOVEACLENTRIES"))
            .collect::<Result<_, _>>()?
    };
    let mut tree = call.storage.tree();
    let node = tree.node_mut(&call.path)?;
    match operation {
        "SETACL" => {
            node.acl.clear();
            entries.iter().for_each(|entry| entry.apply(node));
        }
        "MODIFYACLENTRIES" => entries.iter().for_each(|entry| entry.apply(node)),
        "REMOVEACLENTRIES" => {
            node.acl.retain(|existing| !entries.iter().any(|entry| entry.has_scope_of(existing)));
        }
        "REMOVEDEFAULTACL" => node.acl.retain(|existing| !existing.starts_with("default:")),
        _ => node.acl.clear(),
    }
    Ok(Response::new(200))
}

/// An ACL entry: its scope (`user:NAME:`, `default:group::`) and its permissions (`r-x`).
struct AclEntry {
    scope: String,
    permissions: String,
}

impl AclEntry {
    fn parse(text: &str, without_permission: bool) -> Result<Self, StorageError> {
        let invalid = || {
            illegal_argument(&format!("Invalid value for webhdfs parameter \"aclspec\": {text}"))
        };
        let (default, rest) = match text.trim().strip_prefix("default:") {
            Some(rest) => ("default:", rest),
            None => ("", text.trim()),
        };
        let mut parts = rest.split(':');
        let kind = parts
            .next()
            .filter(|kind| matches!(*kind, "user" | "group" | "other" | "mask"))
            .ok_or_else(invalid)?;
        let name = parts.next().unwrap_or_default();
        let permissions = parts.next().unwrap_or_default();
        let letters = permissions.len() == 3
            && permissions.chars().zip("rwx".chars()).all(|(c, l)| c == l || c == '-');
        if parts.next().is_some() || !(letters || without_permission && permissions.is_empty()) {
            return Err(invalid());
        }
        Ok(Self { scope: format!("{default}{kind}:{name}:"), permissions: permissions.to_owned() })
    }

    fn has_scope_of(&self, entry: &str) -> bool {
        entry.rsplit_once(':').is_some_and(|(scope, _)| format!("{scope}:") == self.scope)
    }

    /// Applies the entry to a node. Those of owner, group and others are part of the permission.
    fn apply(&self, node: &mut Node) {
        let digit_index = match self.scope.as_str() {
            "user::" => Some(0),
            "group::" => Some(1),
            "other::" => Some(2),
            _ => None,
        };
        match digit_index {
            Some(digit_index) => {
                let digit = self
                    .permissions
                    .chars()
                    .zip([4_u32, 2, 1])
                    .filter(|(c, _)| *c != '-')
                    .map(|(_, bit)| bit)
                    .sum();
                let digit = char::from_digit(digit, 8).unwrap_or('0');
                let last = node.permission.len().saturating_sub(3);
                let digits = node.permission.chars().enumerate();
                node.permission = digits
                    .map(|(i, old)| if i == last + digit_index { digit } else { old })
                    .collect();
            }
            None => {
                node.acl.retain(|existing| !self.has_scope_of(existing));
                node.acl.push(format!("{}{}", self.scope, self.permissions));
            }
        }
    }
}
