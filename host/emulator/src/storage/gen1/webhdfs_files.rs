//! Operations on files and directories: read, write, concatenate, rename, delete.

use super::file_tree::{FileTree, Node, normalized, not_a_file, not_found, parent};
use super::{Call, boolean, illegal_argument, is_true, number};
use crate::content::Content;
use crate::messages::Response;
use crate::storage::storage_error::StorageError;
use crate::storage::time_format::now;

fn already_exists(path: &str) -> StorageError {
    StorageError::new(409, "FileAlreadyExistsException", format!("{path} already exists"))
}

pub(super) fn open(call: &Call<'_>) -> Result<Response, StorageError> {
    let (offset, length) = (number(call.request, "offset")?, number(call.request, "length")?);
    let tree = call.storage.tree();
    let Some(content) = &tree.node(&call.path)?.content else {
        return Err(not_a_file(&call.path));
    };
    let from = offset.unwrap_or(0);
    if from > content.len() {
        return Err(StorageError::new(
            400,
            "BadOffsetException",
            "The offset is after the end of the file.",
        ));
    }
    let to = length.map_or(content.len(), |length| from.saturating_add(length));
    let mut response = Response::new(200).header("content-type", "application/octet-stream");
    response.body = content.slice(from, to);
    Ok(response)
}

pub(super) fn create(call: &Call<'_>) -> Result<Response, StorageError> {
    let mut tree = call.storage.tree();
    match tree.find(&call.path) {
        Some(node) if node.is_directory() => return Err(already_exists(&call.path)),
        Some(_) if !is_true(call.request, "overwrite") => return Err(already_exists(&call.path)),
        _ => {}
    }
    tree.make_directories(parent(&call.path), &call.caller)?;
    let mut node = Node::new(Some(call.body.clone()), &call.caller);
    if let Some(permission) = call.request.query("permission") {
        node.permission = super::acl::octal(permission)?;
    }
    tree.put(&call.path, node);
    let location =
        format!("https://{}{}?op=CREATE&write=true", call.request.host, call.request.path);
    Ok(Response::new(201).header("location", &location))
}

pub(super) fn append(call: &Call<'_>) -> Result<Response, StorageError> {
    let offset = number(call.request, "offset")?;
    let create = call
        .request
        .query("appendmode")
        .is_some_and(|mode| mode.eq_ignore_ascii_case("autocreate"));
    let mut tree = call.storage.tree();
    if create && tree.find(&call.path).is_none() {
        tree.make_directories(parent(&call.path), &call.caller)?;
        tree.put(&call.path, Node::new(Some(Content::default()), &call.caller));
    }
    let node = tree.file_mut(&call.path)?;
    if offset.is_some_and(|offset| offset != node.length()) {
        let message =
            format!("The offset is not the end of the file, which is at {}.", node.length());
        return Err(StorageError::new(400, "BadOffsetException", message));
    }
    if let Some(content) = &mut node.content {
        content.append(&call.body);
    }
    node.modified = now();
    Ok(Response::new(200))
}

/// Truncates a file. The response says that it is complete.
pub(super) fn truncate(call: &Call<'_>) -> Result<Response, StorageError> {
    let length = number(call.request, "newlength")?
        .ok_or_else(|| illegal_argument("TRUNCATE needs a \"newlength\""))?;
    let mut tree = call.storage.tree();
    let node = tree.file_mut(&call.path)?;
    if length > node.length() {
        return Err(illegal_argument("Cannot truncate to a larger file size."));
    }
    node.content = node.content.as_ref().map(|content| content.slice(0, length));
    node.modified = now();
    Ok(boolean(true))
}

/// The sources of CONCAT and MSCONCAT: a parameter, or the body, which is text or JSON.
fn sources(call: &Call<'_>) -> Result<Vec<String>, StorageError> {
    #[derive(serde::Deserialize)]
    struct Listed {
        sources: Vec<String>,
    }
    let body = call.body.to_bytes();
    if call.request.header("content-type").is_some_and(|kind| kind.starts_with("application/json"))
    {
        let listed: Listed =
            serde_json::from_slice(&body).map_err(|error| illegal_argument(&error.to_string()))?;
        return listed.sources.iter().map(|source| normalized(source)).collect();
    }
    let listed = String::from_utf8_lossy(&body).into_owned();
    let sources =
        call.request.query("sources").unwrap_or(listed.strip_prefix("sources=").unwrap_or(&listed));
    sources.split(',').map(str::trim).filter(|s| !s.is_empty()).map(normalized).collect()
}

/// CONCAT appends its sources to a file, MSCONCAT replaces the file. Both delete the sources.
pub(super) fn concat(call: &Call<'_>) -> Result<Response, StorageError> {
    let replaces = call.request.query("op").is_some_and(|op| op.eq_ignore_ascii_case("MSCONCAT"));
    let sources = sources(call)?;
    if sources.is_empty() {
        return Err(illegal_argument("CONCAT needs the parameter \"sources\""));
    }
    let mut tree = call.storage.tree();
    let mut joined = Content::default();
    if replaces {
        match tree.find(&call.path) {
            Some(node) if node.is_directory() => return Err(not_a_file(&call.path)),
            Some(_) => {}
            None => tree.make_directories(parent(&call.path), &call.caller)?,
        }
    } else {
        joined = tree.file_mut(&call.path)?.content.clone().unwrap_or_default();
    }
    for (index, source) in sources.iter().enumerate() {
        if *source == call.path || sources.iter().skip(index + 1).any(|other| other == source) {
            return Err(illegal_argument(&format!("{source} is named twice")));
        }
        match &tree.node(source)?.content {
            Some(content) => joined.append(content),
            None => return Err(not_a_file(source)),
        }
    }
    for source in &sources {
        tree.take(source);
    }
    let mut node = tree.find(&call.path).cloned().unwrap_or_else(|| Node::new(None, &call.caller));
    (node.content, node.modified) = (Some(joined), now());
    tree.put(&call.path, node);
    Ok(Response::new(200))
}

pub(super) fn make_directories(call: &Call<'_>) -> Result<Response, StorageError> {
    let mut tree = call.storage.tree();
    let new = tree.find(&call.path).is_none();
    tree.make_directories(&call.path, &call.caller)?;
    if let (true, Some(permission)) = (new, call.request.query("permission")) {
        tree.node_mut(&call.path)?.permission = super::acl::octal(permission)?;
    }
    Ok(boolean(true))
}

pub(super) fn delete(call: &Call<'_>) -> Result<Response, StorageError> {
    let mut tree = call.storage.tree();
    if call.path == "/" {
        return Err(StorageError::new(
            403,
            "AccessControlException",
            "The root cannot be deleted.",
        ));
    }
    if tree.find(&call.path).is_none() {
        return Ok(boolean(false));
    }
    if !is_true(call.request, "recursive") && tree.below(&call.path).next().is_some() {
        let message = format!("{} is not empty", call.path);
        return Err(StorageError::new(403, "PathIsNotEmptyDirectoryException", message));
    }
    tree.take(&call.path);
    Ok(boolean(true))
}

pub(super) fn rename(call: &Call<'_>) -> Result<Response, StorageError> {
    let destination = call
        .request
        .query("destination")
        .ok_or_else(|| illegal_argument("RENAME needs a \"destination\""))?;
    let overwrite = call
        .request
        .query("renameoptions")
        .is_some_and(|options| options.eq_ignore_ascii_case("overwrite"));
    let mut tree = call.storage.tree();
    let destination = destination_path(&tree, &call.path, &normalized(destination)?)?;
    if destination == call.path {
        return Ok(boolean(true));
    }
    if destination.starts_with(&format!("{}/", call.path)) || call.path == "/" {
        return Err(illegal_argument("A directory cannot be moved into itself."));
    }
    match tree.find(&destination) {
        Some(_) if !overwrite => return Ok(boolean(false)),
        Some(_) if tree.below(&destination).next().is_some() => return Ok(boolean(false)),
        Some(_) => drop(tree.take(&destination)),
        None => {}
    }
    if !tree.find(parent(&destination)).is_some_and(Node::is_directory) {
        return Err(not_found(parent(&destination)));
    }
    for (path, node) in tree.take(&call.path) {
        let rest = path.strip_prefix(&call.path).unwrap_or_default();
        tree.put(&format!("{destination}{rest}"), node);
    }
    Ok(boolean(true))
}

/// The new path of something that is renamed: inside the destination, if that is a directory.
fn destination_path(
    tree: &FileTree,
    source: &str,
    destination: &str,
) -> Result<String, StorageError> {
    tree.node(source)?;
    let is_directory =
        destination != source && tree.find(destination).is_some_and(Node::is_directory);
    let name = source.rsplit('/').next().unwrap_or_default();
    Ok(if is_directory {
        format!("{}/{name}", destination.trim_end_matches('/'))
    } else {
        destination.to_owned()
    })
}
