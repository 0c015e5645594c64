//! Lists the paths of a filesystem.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::filesystems::page;
use super::paths::{inside, is_directory};
use super::{Call, filesystem, no_path};
use crate::exchange::Reply;
use crate::storage::clock;
use crate::storage::failure::{Failure, bad_parameter, missing_parameter};
use crate::storage::store::{Blob, Stamp};

pub(super) fn paths(call: &Call<'_>) -> Result<Reply, Failure> {
    let recursive = call.request.query("recursive").ok_or_else(|| missing_parameter("recursive"))?;
    let recursive: bool = recursive.to_ascii_lowercase().parse().map_err(|_| bad_parameter("recursive", recursive))?;
    let directory = call.request.query("directory").unwrap_or_default().trim_matches('/');
    let store = call.storage.store();
    let container = filesystem(&store, &call.target.container)?;
    if !is_directory(container, directory) {
        return Err(no_path());
    }
    let inside = inside(directory);
    // Directories that nobody made are in no blob's name but in their files'.
    let mut all: BTreeMap<&str, Option<&Blob>> = BTreeMap::new();
    for (name, blob) in container.blobs.iter().filter(|(name, _)| name.starts_with(&inside)) {
        let below = name.get(inside.len()..).unwrap_or_default();
        for (end, _) in below.match_indices('/') {
            all.entry(name.get(..inside.len() + end).unwrap_or_default()).or_insert(None);
        }
        all.insert(name, Some(blob));
    }
    let direct = |name: &str| !name.get(inside.len()..).unwrap_or_default().contains('/');
    let shown = all.into_iter().filter(|(name, _)| !name.is_empty() && (recursive || direct(name)));
    let items = shown.map(|(name, blob)| (name.to_owned(), entry(name, blob, &container.stamp)));
    Ok(page(call.request, items.collect(), "paths"))
}

fn entry(name: &str, blob: Option<&Blob>, otherwise: &Stamp) -> Value {
    let made;
    let blob = match blob {
        Some(blob) => blob,
        None => {
            made = Blob::directory(otherwise.clone());
            &made
        }
    };
    let mut entry = json!({
        "name": name,
        "contentLength": blob.content.len().to_string(),
        "creationTime": clock::http(blob.created),
        "etag": blob.stamp.etag.trim_matches('"'),
        "lastModified": clock::http(blob.stamp.modified),
        "owner": blob.access.owner,
        "group": blob.access.group,
        "permissions": blob.access.permissions,
    });
    if let (true, Some(entry)) = (blob.is_directory(), entry.as_object_mut()) {
        entry.insert("isDirectory".to_owned(), "true".into());
    }
    entry
}
