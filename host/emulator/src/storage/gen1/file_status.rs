//! Properties of files: LISTSTATUS, GETFILESTATUS, GETCONTENTSUMMARY, GETFILECHECKSUM.

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::file_tree::Node;
use super::file_tree::not_a_file;
use super::{Call, number, ok_json};
use crate::messages::Response;
use crate::storage::storage_error::StorageError;

/// The block size of every file: 256 MiB.
const BLOCK: u64 = 256 << 20;

fn status(name: &str, node: &Node) -> Value {
    let time = node.modified * 1000;
    let directory = node.is_directory();
    json!({
        "length": node.length(),
        "pathSuffix": name,
        "type": if directory { "DIRECTORY" } else { "FILE" },
        "blockSize": if directory { 0 } else { BLOCK },
        "accessTime": time,
        "modificationTime": time,
        "replication": u8::from(!directory),
        "permission": node.permission,
        "owner": node.owner,
        "group": node.group,
        "aclBit": !node.acl.is_empty(),
    })
}

pub(super) fn get(call: &Call<'_>) -> Result<Response, StorageError> {
    let tree = call.storage.tree();
    Ok(ok_json(&json!({ "FileStatus": status("", tree.node(&call.path)?) })))
}

pub(super) fn list(call: &Call<'_>) -> Result<Response, StorageError> {
    let tree = call.storage.tree();
    let node = tree.node(&call.path)?;
    let size = number(call.request, "listsize")?
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(usize::MAX);
    let (after, before) = (call.request.query("listafter"), call.request.query("listbefore"));
    // The `listAfter` of the next page; empty if there is none.
    let mut next = String::new();
    let all: Vec<Value> = if node.is_directory() {
        let children = tree.children(&call.path);
        let mut selected = children
            .filter(|(name, _)| {
                after.is_none_or(|after| *name > after)
                    && before.is_none_or(|before| *name < before)
            })
            .peekable();
        let page: Vec<_> = selected.by_ref().take(size).collect();
        if let (Some((last, _)), Some(_)) = (page.last(), selected.peek()) {
            (*last).clone_into(&mut next);
        }
        page.into_iter().map(|(name, node)| status(name, node)).collect()
    } else {
        vec![status("", node)]
    };
    let mut list = json!({ "FileStatus": all });
    if call.request.query("listsize").is_some()
        && let Some(list) = list.as_object_mut()
    {
        list.insert("continuationToken".to_owned(), next.into());
    }
    Ok(ok_json(&json!({ "FileStatuses": list })))
}

pub(super) fn summary(call: &Call<'_>) -> Result<Response, StorageError> {
    let tree = call.storage.tree();
    let node = tree.node(&call.path)?;
    let all = || tree.below(&call.path).map(|(_, node)| node).chain([node]);
    let files = all().filter(|node| !node.is_directory()).count();
    let directories = all().filter(|node| node.is_directory()).count();
    let length: u64 = all().map(Node::length).sum();
    Ok(ok_json(&json!({ "ContentSummary": {
        "directoryCount": directories,
        "fileCount": files,
        "length": length,
        "quota": -1,
        "spaceConsumed": length,
        "spaceQuota": -1,
    } })))
}

/// A checksum of the content. It has the length of Hadoop's, which is computed from blocks.
pub(super) fn checksum(call: &Call<'_>) -> Result<Response, StorageError> {
    let tree = call.storage.tree();
    let Some(content) = &tree.node(&call.path)?.content else {
        return Err(not_a_file(&call.path));
    };
    let sum = digest(&SHA256, &content.to_bytes());
    let bytes: String = sum.as_ref().iter().take(28).map(|byte| format!("{byte:02x}")).collect();
    let sum = json!({ "algorithm": "MD5-of-0MD5-of-512CRC32C", "bytes": bytes, "length": 28 });
    Ok(ok_json(&json!({ "FileChecksum": sum })))
}

pub(super) fn set_times(call: &Call<'_>) -> Result<Response, StorageError> {
    let mut tree = call.storage.tree();
    let node = tree.node_mut(&call.path)?;
    if let Some(time) = number(call.request, "modificationtime")? {
        node.modified = time / 1000;
    }
    Ok(Response::new(200))
}
