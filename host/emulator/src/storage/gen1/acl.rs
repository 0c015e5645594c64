//! Who may do what in the lake: permissions, owners, ACLs. The emulator keeps them and enforces none: that is the directory's.

use serde_json::json;

use super::tree::Node;
use super::{Call, answered, illegal};
use crate::exchange::Reply;
use crate::storage::failure::Failure;

/// A permission in octal, of three or four digits.
pub(super) fn octal(text: &str) -> Result<String, Failure> {
    let good = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    if good {
        Ok(text.to_owned())
    } else {
        Err(illegal(&format!("Invalid value for webhdfs parameter \"permission\": {text}")))
    }
}

pub(super) fn check(call: &Call<'_>) -> Result<Reply, Failure> {
    let action = call.request.query("fsaction").unwrap_or("---");
    let good =
        action.len() == 3 && action.chars().zip("rwx".chars()).all(|(given, letter)| given == letter || given == '-');
    if !good {
        return Err(illegal(&format!("Invalid value for webhdfs parameter \"fsaction\": {action}")));
    }
    call.storage.lake().node(&call.path)?;
    Ok(Reply::new(200))
}

pub(super) fn set_permission(call: &Call<'_>) -> Result<Reply, Failure> {
    let permission = call.request.query("permission").ok_or_else(|| illegal("SETPERMISSION needs a \"permission\""))?;
    let permission = octal(permission)?;
    call.storage.lake().node_mut(&call.path)?.permission = permission;
    Ok(Reply::new(200))
}

pub(super) fn set_owner(call: &Call<'_>) -> Result<Reply, Failure> {
    let (owner, group) = (call.request.query("owner"), call.request.query("group"));
    if owner.is_none() && group.is_none() {
        return Err(illegal("SETOWNER needs an \"owner\" or a \"group\""));
    }
    let mut lake = call.storage.lake();
    let node = lake.node_mut(&call.path)?;
    if let Some(owner) = owner {
        owner.clone_into(&mut node.owner);
    }
    if let Some(group) = group {
        group.clone_into(&mut node.group);
    }
    Ok(Reply::new(200))
}

pub(super) fn get(call: &Call<'_>) -> Result<Reply, Failure> {
    let lake = call.storage.lake();
    let node = lake.node(&call.path)?;
    Ok(answered(&json!({ "AclStatus": {
        "entries": node.acl,
        "group": node.group,
        "owner": node.owner,
        "permission": node.permission,
        "stickyBit": false,
    } })))
}

/// SETACL, MODIFYACLENTRIES, REMOVEACLENTRIES, REMOVEACL, REMOVEDEFAULTACL.
pub(super) fn change(call: &Call<'_>, operation: &str) -> Result<Reply, Failure> {
    let given = if matches!(operation, "REMOVEACL" | "REMOVEDEFAULTACL") {
        Vec::new()
    } else {
        let spec = call.request.query("aclspec").filter(|spec| !spec.is_empty());
        let spec = spec.ok_or_else(|| illegal(&format!("{operation} needs an \"aclspec\"")))?;
        spec.split(',').map(|entry| Entry::read(entry, operation == "REMOVEACLENTRIES")).collect::<Result<_, _>>()?
    };
    let mut lake = call.storage.lake();
    let node = lake.node_mut(&call.path)?;
    match operation {
        "SETACL" => {
            node.acl.clear();
            given.iter().for_each(|entry| entry.put(node));
        }
        "MODIFYACLENTRIES" => given.iter().for_each(|entry| entry.put(node)),
        "REMOVEACLENTRIES" => node.acl.retain(|own| !given.iter().any(|entry| entry.is_of(own))),
        "REMOVEDEFAULTACL" => node.acl.retain(|own| !own.starts_with("default:")),
        _ => node.acl.clear(),
    }
    Ok(Reply::new(200))
}

/// An entry: for whom (`user:NAME`, `default:group:`), and what (`r-x`).
struct Entry {
    whom: String,
    what: String,
}

impl Entry {
    fn read(text: &str, without_permission: bool) -> Result<Self, Failure> {
        let invalid = || illegal(&format!("Invalid value for webhdfs parameter \"aclspec\": {text}"));
        let (default, rest) = match text.trim().strip_prefix("default:") {
            Some(rest) => ("default:", rest),
            None => ("", text.trim()),
        };
        let mut parts = rest.split(':');
        let kind =
            parts.next().filter(|kind| matches!(*kind, "user" | "group" | "other" | "mask")).ok_or_else(invalid)?;
        let name = parts.next().unwrap_or_default();
        let what = parts.next().unwrap_or_default();
        let letters = what.len() == 3 && what.chars().zip("rwx".chars()).all(|(given, l)| given == l || given == '-');
        if parts.next().is_some() || !(letters || without_permission && what.is_empty()) {
            return Err(invalid());
        }
        Ok(Self { whom: format!("{default}{kind}:{name}:"), what: what.to_owned() })
    }

    fn is_of(&self, own: &str) -> bool {
        own.rsplit_once(':').is_some_and(|(whom, _)| format!("{whom}:") == self.whom)
    }

    /// Puts it in its place: those of the owner, the group and others are the permission.
    fn put(&self, node: &mut Node) {
        let place = match self.whom.as_str() {
            "user::" => Some(0),
            "group::" => Some(1),
            "other::" => Some(2),
            _ => None,
        };
        match place {
            Some(place) => {
                let digit = self.what.chars().zip([4_u32, 2, 1]).filter(|(c, _)| *c != '-').map(|(_, bit)| bit).sum();
                let digit = char::from_digit(digit, 8).unwrap_or('0');
                let last = node.permission.len().saturating_sub(3);
                let digits = node.permission.chars().enumerate();
                node.permission = digits.map(|(i, old)| if i == last + place { digit } else { old }).collect();
            }
            None => {
                node.acl.retain(|own| !self.is_of(own));
                node.acl.push(format!("{}{}", self.whom, self.what));
            }
        }
    }
}
