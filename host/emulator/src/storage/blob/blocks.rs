//! Blocks of a blob: upload, commit and list them ([Put Block List]).
//!
//! [Put Block List]: https://learn.microsoft.com/rest/api/storageservices/put-block-list

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Call;
use super::blob_read::with_revision;
use super::blob_write::{check_replaceable, joined, properties_of, replace};
use crate::content::Content;
use crate::messages::Response;
use crate::storage::blob_store::{Blob, BlobType, metadata_of};
use crate::storage::conditional_headers::{self, AccessKind};
use crate::storage::storage_error::{
    StorageError, blob_not_found, invalid_header, invalid_parameter, missing_parameter,
};
use crate::storage::xml::{BlockState, XmlWriter, parse_block_list};

/// Limit of a block id, decoded, in bytes.
const MAX_ID: usize = 64;

/// Limit of the blocks of a blob.
const MAX_BLOCKS: usize = 50_000;

type Block = (String, Content);

pub(super) fn put(call: Call<'_>) -> Result<Response, StorageError> {
    let id = call.request.query("blockid").ok_or_else(|| missing_parameter("blockid"))?.to_owned();
    if !STANDARD.decode(&id).is_ok_and(|decoded| (1..=MAX_ID).contains(&decoded.len())) {
        return Err(invalid_parameter("blockid", &id));
    }
    if call.body.is_empty() {
        return Err(invalid_header("Content-Length", "0"));
    }
    let mut store = call.storage.store();
    let container = store.container_mut(&call.target.container)?;
    let name = &call.target.name;
    if let Some(blob) = container.blobs.get(name) {
        blob.lease.check(call.request, true)?;
        if blob.blob_type != BlobType::Block {
            let message = "The blob type is invalid for this operation.";
            return Err(StorageError::new(409, "InvalidBlobType", message));
        }
    }
    let committed = container.blobs.get(name).map(|blob| blob.blocks.clone()).unwrap_or_default();
    let blocks = container.uncommitted.entry(name.clone()).or_default();
    if blocks.iter().chain(&committed).any(|(other, _)| other.len() != id.len()) {
        return Err(invalid_block());
    }
    match blocks.iter_mut().find(|(other, _)| *other == id) {
        Some((_, content)) => *content = call.body,
        None => blocks.push((id, call.body)),
    }
    Ok(Response::new(201).header("x-ms-request-server-encrypted", "true"))
}

fn invalid_block() -> StorageError {
    StorageError::new(400, "InvalidBlobOrBlock", "The specified blob or block content is invalid.")
}

pub(super) fn commit(call: &Call<'_>) -> Result<Response, StorageError> {
    let Some(list) = parse_block_list(&call.body.to_bytes()) else {
        let message = "XML specified is not syntactically valid.";
        return Err(StorageError::new(400, "InvalidXmlDocument", message));
    };
    if list.len() > MAX_BLOCKS {
        let message = "The block list may not contain more than 50,000 blocks.";
        return Err(StorageError::new(400, "BlockListTooLong", message));
    }
    let mut store = call.storage.store();
    let revision = store.next_revision();
    let container = store.container_mut(&call.target.container)?;
    let name = &call.target.name;
    check_replaceable(container, name, call.request)?;
    let empty: Vec<Block> = Vec::new();
    let committed = container.blobs.get(name).map_or(&empty, |blob| &blob.blocks);
    let uncommitted = container.uncommitted.get(name).unwrap_or(&empty);
    let mut blocks = Vec::with_capacity(list.len());
    for (state, id) in &list {
        let find = |blocks: &[Block]| blocks.iter().find(|(other, _)| other == id).cloned();
        let block = match state {
            BlockState::Committed => find(committed),
            BlockState::Uncommitted => find(uncommitted),
            BlockState::Latest => find(uncommitted).or_else(|| find(committed)),
        };
        let missing =
            || StorageError::new(400, "InvalidBlockList", "The specified block list is invalid.");
        blocks.push(block.ok_or_else(missing)?);
    }
    let mut blob = Blob::new(BlobType::Block, joined(&blocks), revision.clone());
    blob.blocks = blocks;
    blob.properties.extend(properties_of(call.request));
    blob.metadata = metadata_of(call.request);
    replace(container, name, blob);
    Ok(with_revision(201, &revision).header("x-ms-request-server-encrypted", "true"))
}

pub(super) fn list(call: &Call<'_>) -> Result<Response, StorageError> {
    let which = call.request.query("blocklisttype").unwrap_or("committed").to_ascii_lowercase();
    let (with_committed, with_uncommitted) = match which.as_str() {
        "committed" => (true, false),
        "uncommitted" => (false, true),
        "all" => (true, true),
        other => return Err(invalid_parameter("blocklisttype", other)),
    };
    let store = call.storage.store();
    let container = store.container(&call.target.container)?;
    let blob = container.blobs.get(&call.target.name);
    let uncommitted = container.uncommitted.get(&call.target.name);
    if blob.is_none() && uncommitted.is_none() {
        return Err(blob_not_found());
    }
    let mut xml = XmlWriter::new();
    xml.open("BlockList");
    let mut write_blocks = |is_included: bool, element: &str, blocks: Option<&Vec<Block>>| {
        if is_included {
            xml.open(element);
            for (id, content) in blocks.into_iter().flatten() {
                xml.open("Block")
                    .text("Name", id)
                    .text("Size", &content.len().to_string())
                    .close("Block");
            }
            xml.close(element);
        }
    };
    write_blocks(with_committed, "CommittedBlocks", blob.map(|blob| &blob.blocks));
    write_blocks(with_uncommitted, "UncommittedBlocks", uncommitted);
    let mut response = match blob {
        Some(blob) => {
            conditional_headers::check(call.request, blob.etag_and_time(), AccessKind::Read)?;
            blob.lease.check(call.request, false)?;
            with_revision(200, &blob.revision)
                .header("x-ms-blob-content-length", &blob.content.len().to_string())
        }
        None => Response::new(200).header("x-ms-blob-content-length", "0"),
    };
    response = response.header("content-type", "application/xml");
    response.body = xml.close("BlockList").finish().into();
    Ok(response)
}
