//! Lists the paths of a filesystem.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::filesystems::page;
use super::paths::{directory_prefix, is_directory};
use super::{Call, filesystem, path_not_found};
use crate::messages::Response;
use crate::storage::blob_store::{Blob, Revision};
use crate::storage::storage_error::{StorageError, invalid_parameter, missing_parameter};
use crate::storage::time_format;

pub(super) fn paths(call: &Call<'_>) -> Result<Response, StorageError> {
    let recursive =
        call.request.query("recursive").ok_or_else(|| missing_parameter("recursive"))?;
    let recursive: bool = recursive
        .to_ascii_lowercase()
        .parse()
        .map_err(|_| invalid_parameter("recursive", recursive))?;
    let directory = call.request.query("directory").unwrap_or_default().trim_matches('/');
    let store = call.storage.store();
    let container = filesystem(&store, &call.target.container)?;
    if !is_directory(container, directory) {
        return Err(path_not_found());
    }
    let prefix = directory_prefix(directory);
    // Directories without a blob of their own exist as prefixes of names.
    let mut all: BTreeMap<&str, Option<&Blob>> = BTreeMap::new();
    for (name, blob) in container.blobs.iter().filter(|(name, _)| name.starts_with(&prefix)) {
        let below = name.get(prefix.len()..).unwrap_or_default();
        for (end, _) in below.match_indices('/') {
            all.entry(name.get(..prefix.len() + end).unwrap_or_default()).or_insert(None);
        }
        all.insert(name, Some(blob));
    }
    let is_child = |name: &str| !name.get(prefix.len()..).unwrap_or_default().contains('/');
    let visible =
        all.into_iter().filter(|(name, _)| !name.is_empty() && (recursive || is_child(name)));
    let items =
        visible.map(|(name, blob)| (name.to_owned(), entry(name, blob, &container.revision)));
    Ok(page(call.request, items.collect(), "paths"))
}

fn entry(name: &str, blob: Option<&Blob>, default: &Revision) -> Value {
    let implicit;
    let blob = match blob {
        Some(blob) => blob,
        None => {
            implicit = Blob::directory(default.clone());
            &implicit
        }
    };
    let mut entry = json!({
        "name": name,
        "contentLength": blob.content.len().to_string(),
        "creationTime": time_format::http(blob.created),
        "etag": blob.revision.etag.trim_matches('"'),
        "lastModified": time_format::http(blob.revision.modified),
        "owner": blob.access.owner,
        "group": blob.access.group,
        "permissions": blob.access.permissions,
    });
    if let (true, Some(entry)) = (blob.is_directory(), entry.as_object_mut()) {
        entry.insert("isDirectory".to_owned(), "true".into());
    }
    entry
}
