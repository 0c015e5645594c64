//! What there is in the lake: LISTSTATUS, GETFILESTATUS, GETCONTENTSUMMARY.

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::tree::Node;
use super::tree::not_a_file;
use super::{Call, answered, number};
use crate::exchange::Reply;
use crate::storage::failure::Failure;

/// The block size that every file claims: 256 MiB.
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

pub(super) fn get(call: &Call<'_>) -> Result<Reply, Failure> {
    let lake = call.storage.lake();
    Ok(answered(&json!({ "FileStatus": status("", lake.node(&call.path)?) })))
}

pub(super) fn list(call: &Call<'_>) -> Result<Reply, Failure> {
    let lake = call.storage.lake();
    let node = lake.node(&call.path)?;
    let size = number(call.request, "listsize")?.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX);
    let (after, before) = (call.request.query("listafter"), call.request.query("listbefore"));
    // The name that the next page is asked for with, in `listAfter`. It is empty where there is none.
    let mut next = String::new();
    let all: Vec<Value> = if node.is_directory() {
        let children = lake.children(&call.path);
        let mut wanted = children
            .filter(|(name, _)| after.is_none_or(|after| *name > after) && before.is_none_or(|before| *name < before))
            .peekable();
        let page: Vec<_> = wanted.by_ref().take(size).collect();
        if let (Some((last, _)), Some(_)) = (page.last(), wanted.peek()) {
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
    Ok(answered(&json!({ "FileStatuses": list })))
}

pub(super) fn summary(call: &Call<'_>) -> Result<Reply, Failure> {
    let lake = call.storage.lake();
    let node = lake.node(&call.path)?;
    let all = || lake.below(&call.path).map(|(_, node)| node).chain([node]);
    let files = all().filter(|node| !node.is_directory()).count();
    let directories = all().filter(|node| node.is_directory()).count();
    let length: u64 = all().map(Node::length).sum();
    Ok(answered(&json!({ "ContentSummary": {
        "directoryCount": directories,
        "fileCount": files,
        "length": length,
        "quota": -1,
        "spaceConsumed": length,
        "spaceQuota": -1,
    } })))
}

/// A checksum of a file's content. Hadoop's own is of blocks and their checksums; this one is as long.
pub(super) fn checksum(call: &Call<'_>) -> Result<Reply, Failure> {
    let lake = call.storage.lake();
    let Some(content) = &lake.node(&call.path)?.content else { return Err(not_a_file(&call.path)) };
    let sum = digest(&SHA256, &content.to_bytes());
    let bytes: String = sum.as_ref().iter().take(28).map(|byte| format!("{byte:02x}")).collect();
    let sum = json!({ "algorithm": "MD5-of-0MD5-of-512CRC32C", "bytes": bytes, "length": 28 });
    Ok(answered(&json!({ "FileChecksum": sum })))
}

pub(super) fn set_times(call: &Call<'_>) -> Result<Reply, Failure> {
    let mut lake = call.storage.lake();
    let node = lake.node_mut(&call.path)?;
    if let Some(time) = number(call.request, "modificationtime")? {
        node.modified = time / 1000;
    }
    Ok(Reply::new(200))
}
