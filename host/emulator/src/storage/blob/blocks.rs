//! Blocks: put them one by one, commit a list of them ([Put Block List]).
//!
//! [Put Block List]: https://learn.microsoft.com/rest/api/storageservices/put-block-list

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Call;
use super::read::stamped;
use super::write::{check_replaced, joined, properties_of, replace};
use crate::content::Content;
use crate::exchange::Reply;
use crate::storage::conditions::{self, Doing};
use crate::storage::failure::{Failure, bad_header, bad_parameter, missing_parameter, no_blob};
use crate::storage::store::{Blob, Kind, metadata_of};
use crate::storage::xml::{Where, Xml, block_list};

/// The longest id of a block, decoded.
const LONGEST_ID: usize = 64;

/// The most blocks of a blob.
const MOST_BLOCKS: usize = 50_000;

type Block = (String, Content);

pub(super) fn put(call: Call<'_>) -> Result<Reply, Failure> {
    let id = call.request.query("blockid").ok_or_else(|| missing_parameter("blockid"))?.to_owned();
    if !STANDARD.decode(&id).is_ok_and(|decoded| (1..=LONGEST_ID).contains(&decoded.len())) {
        return Err(bad_parameter("blockid", &id));
    }
    if call.body.is_empty() {
        return Err(bad_header("Content-Length", "0"));
    }
    let mut store = call.storage.store();
    let container = store.container_mut(&call.target.container)?;
    let name = &call.target.name;
    if let Some(blob) = container.blobs.get(name) {
        blob.lease.check(call.request, true)?;
        if blob.kind != Kind::Block {
            let message = "The blob type is invalid for this operation.";
            return Err(Failure::new(409, "InvalidBlobType", message));
        }
    }
    let committed = container.blobs.get(name).map(|blob| blob.blocks.clone()).unwrap_or_default();
    let blocks = container.uncommitted.entry(name.clone()).or_default();
    if blocks.iter().chain(&committed).any(|(other, _)| other.len() != id.len()) {
        return Err(invalid());
    }
    match blocks.iter_mut().find(|(other, _)| *other == id) {
        Some((_, content)) => *content = call.body,
        None => blocks.push((id, call.body)),
    }
    Ok(Reply::new(201).header("x-ms-request-server-encrypted", "true"))
}

fn invalid() -> Failure {
    Failure::new(400, "InvalidBlobOrBlock", "The specified blob or block content is invalid.")
}

pub(super) fn commit(call: &Call<'_>) -> Result<Reply, Failure> {
    let Some(list) = block_list(&call.body.to_bytes()) else {
        let message = "XML specified is not syntactically valid.";
        return Err(Failure::new(400, "InvalidXmlDocument", message));
    };
    if list.len() > MOST_BLOCKS {
        let message = "The block list may not contain more than 50,000 blocks.";
        return Err(Failure::new(400, "BlockListTooLong", message));
    }
    let mut store = call.storage.store();
    let stamp = store.stamp();
    let container = store.container_mut(&call.target.container)?;
    let name = &call.target.name;
    check_replaced(container, name, call.request)?;
    let empty: Vec<Block> = Vec::new();
    let committed = container.blobs.get(name).map_or(&empty, |blob| &blob.blocks);
    let uncommitted = container.uncommitted.get(name).unwrap_or(&empty);
    let mut blocks = Vec::with_capacity(list.len());
    for (place, id) in &list {
        let find = |blocks: &[Block]| blocks.iter().find(|(other, _)| other == id).cloned();
        let block = match place {
            Where::Committed => find(committed),
            Where::Uncommitted => find(uncommitted),
            Where::Latest => find(uncommitted).or_else(|| find(committed)),
        };
        let missing = || Failure::new(400, "InvalidBlockList", "The specified block list is invalid.");
        blocks.push(block.ok_or_else(missing)?);
    }
    let mut blob = Blob::new(Kind::Block, joined(&blocks), stamp.clone());
    blob.blocks = blocks;
    blob.properties.extend(properties_of(call.request));
    blob.metadata = metadata_of(call.request);
    replace(container, name, blob);
    Ok(stamped(201, &stamp).header("x-ms-request-server-encrypted", "true"))
}

pub(super) fn list(call: &Call<'_>) -> Result<Reply, Failure> {
    let which = call.request.query("blocklisttype").unwrap_or("committed").to_ascii_lowercase();
    let (show_committed, show_uncommitted) = match which.as_str() {
        "committed" => (true, false),
        "uncommitted" => (false, true),
        "all" => (true, true),
        other => return Err(bad_parameter("blocklisttype", other)),
    };
    let store = call.storage.store();
    let container = store.container(&call.target.container)?;
    let blob = container.blobs.get(&call.target.name);
    let uncommitted = container.uncommitted.get(&call.target.name);
    if blob.is_none() && uncommitted.is_none() {
        return Err(no_blob());
    }
    let mut xml = Xml::new();
    xml.open("BlockList");
    let mut part = |shown: bool, element: &str, blocks: Option<&Vec<Block>>| {
        if shown {
            xml.open(element);
            for (id, content) in blocks.into_iter().flatten() {
                xml.open("Block").text("Name", id).text("Size", &content.len().to_string()).close("Block");
            }
            xml.close(element);
        }
    };
    part(show_committed, "CommittedBlocks", blob.map(|blob| &blob.blocks));
    part(show_uncommitted, "UncommittedBlocks", uncommitted);
    let mut reply = match blob {
        Some(blob) => {
            conditions::check(call.request, blob.found(), Doing::Reading)?;
            blob.lease.check(call.request, false)?;
            stamped(200, &blob.stamp).header("x-ms-blob-content-length", &blob.content.len().to_string())
        }
        None => Reply::new(200).header("x-ms-blob-content-length", "0"),
    };
    reply = reply.header("content-type", "application/xml");
    reply.body = xml.close("BlockList").finish().into();
    Ok(reply)
}
