//! Files and directories of the lake: read, write, join, move, delete.

use super::tree::{Node, Tree, normalised, not_a_file, not_found, parent};
use super::{Call, boolean, illegal, is_true, number};
use crate::content::Content;
use crate::exchange::Reply;
use crate::storage::clock::now;
use crate::storage::failure::Failure;

fn already_exists(path: &str) -> Failure {
    Failure::new(409, "FileAlreadyExistsException", format!("{path} already exists"))
}

pub(super) fn open(call: &Call<'_>) -> Result<Reply, Failure> {
    let (offset, length) = (number(call.request, "offset")?, number(call.request, "length")?);
    let lake = call.storage.lake();
    let Some(content) = &lake.node(&call.path)?.content else { return Err(not_a_file(&call.path)) };
    let from = offset.unwrap_or(0);
    if from > content.len() {
        return Err(Failure::new(400, "BadOffsetException", "The offset is behind the end of the file."));
    }
    let to = length.map_or(content.len(), |length| from.saturating_add(length));
    let mut reply = Reply::new(200).header("content-type", "application/octet-stream");
    reply.body = content.slice(from, to);
    Ok(reply)
}

pub(super) fn create(call: &Call<'_>) -> Result<Reply, Failure> {
    let mut lake = call.storage.lake();
    match lake.find(&call.path) {
        Some(node) if node.is_directory() => return Err(already_exists(&call.path)),
        Some(_) if !is_true(call.request, "overwrite") => return Err(already_exists(&call.path)),
        _ => {}
    }
    lake.make_directories(parent(&call.path), &call.caller)?;
    let mut node = Node::new(Some(call.body.clone()), &call.caller);
    if let Some(permission) = call.request.query("permission") {
        node.permission = super::acl::octal(permission)?;
    }
    lake.put(&call.path, node);
    let location = format!("https://{}{}?op=CREATE&write=true", call.request.host, call.request.path);
    Ok(Reply::new(201).header("location", &location))
}

pub(super) fn append(call: &Call<'_>) -> Result<Reply, Failure> {
    let offset = number(call.request, "offset")?;
    let create = call.request.query("appendmode").is_some_and(|mode| mode.eq_ignore_ascii_case("autocreate"));
    let mut lake = call.storage.lake();
    if create && lake.find(&call.path).is_none() {
        lake.make_directories(parent(&call.path), &call.caller)?;
        lake.put(&call.path, Node::new(Some(Content::default()), &call.caller));
    }
    let node = lake.file_mut(&call.path)?;
    if offset.is_some_and(|offset| offset != node.length()) {
        let message = format!("The offset is not the end of the file, which is at {}.", node.length());
        return Err(Failure::new(400, "BadOffsetException", message));
    }
    if let Some(content) = &mut node.content {
        content.append(&call.body);
    }
    node.modified = now();
    Ok(Reply::new(200))
}

/// Cuts a file. Nothing is left to be done later, which the answer says.
pub(super) fn truncate(call: &Call<'_>) -> Result<Reply, Failure> {
    let length = number(call.request, "newlength")?.ok_or_else(|| illegal("TRUNCATE needs a \"newlength\""))?;
    let mut lake = call.storage.lake();
    let node = lake.file_mut(&call.path)?;
    if length > node.length() {
        return Err(illegal("Cannot truncate to a larger file size."));
    }
    node.content = node.content.as_ref().map(|content| content.slice(0, length));
    node.modified = now();
    Ok(boolean(true))
}

/// The sources of a CONCAT or MSCONCAT: of its parameter, or of its body, which is text or an object.
fn sources(call: &Call<'_>) -> Result<Vec<String>, Failure> {
    #[derive(serde::Deserialize)]
    struct Listed {
        sources: Vec<String>,
    }
    let body = call.body.to_bytes();
    if call.request.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        let listed: Listed = serde_json::from_slice(&body).map_err(|error| illegal(&error.to_string()))?;
        return listed.sources.iter().map(|source| normalised(source)).collect();
    }
    let listed = String::from_utf8_lossy(&body).into_owned();
    let sources = call.request.query("sources").unwrap_or(listed.strip_prefix("sources=").unwrap_or(&listed));
    sources.split(',').map(str::trim).filter(|s| !s.is_empty()).map(normalised).collect()
}

/// CONCAT appends its sources to the file that it names; MSCONCAT makes that file of them. Both delete the sources.
pub(super) fn concat(call: &Call<'_>) -> Result<Reply, Failure> {
    let makes = call.request.query("op").is_some_and(|op| op.eq_ignore_ascii_case("MSCONCAT"));
    let sources = sources(call)?;
    if sources.is_empty() {
        return Err(illegal("CONCAT needs the parameter \"sources\""));
    }
    let mut lake = call.storage.lake();
    let mut joined = Content::default();
    if makes {
        match lake.find(&call.path) {
            Some(node) if node.is_directory() => return Err(not_a_file(&call.path)),
            Some(_) => {}
            None => lake.make_directories(parent(&call.path), &call.caller)?,
        }
    } else {
        joined = lake.file_mut(&call.path)?.content.clone().unwrap_or_default();
    }
    for (index, source) in sources.iter().enumerate() {
        if *source == call.path || sources.iter().skip(index + 1).any(|other| other == source) {
            return Err(illegal(&format!("{source} is named twice")));
        }
        match &lake.node(source)?.content {
            Some(content) => joined.append(content),
            None => return Err(not_a_file(source)),
        }
    }
    for source in &sources {
        lake.take(source);
    }
    let mut node = lake.find(&call.path).cloned().unwrap_or_else(|| Node::new(None, &call.caller));
    (node.content, node.modified) = (Some(joined), now());
    lake.put(&call.path, node);
    Ok(Reply::new(200))
}

pub(super) fn make_directories(call: &Call<'_>) -> Result<Reply, Failure> {
    let mut lake = call.storage.lake();
    let new = lake.find(&call.path).is_none();
    lake.make_directories(&call.path, &call.caller)?;
    if let (true, Some(permission)) = (new, call.request.query("permission")) {
        lake.node_mut(&call.path)?.permission = super::acl::octal(permission)?;
    }
    Ok(boolean(true))
}

pub(super) fn delete(call: &Call<'_>) -> Result<Reply, Failure> {
    let mut lake = call.storage.lake();
    if call.path == "/" {
        return Err(Failure::new(403, "AccessControlException", "The root cannot be deleted."));
    }
    if lake.find(&call.path).is_none() {
        return Ok(boolean(false));
    }
    if !is_true(call.request, "recursive") && lake.below(&call.path).next().is_some() {
        let message = format!("{} is not empty", call.path);
        return Err(Failure::new(403, "PathIsNotEmptyDirectoryException", message));
    }
    lake.take(&call.path);
    Ok(boolean(true))
}

pub(super) fn rename(call: &Call<'_>) -> Result<Reply, Failure> {
    let destination = call.request.query("destination").ok_or_else(|| illegal("RENAME needs a \"destination\""))?;
    let overwrite =
        call.request.query("renameoptions").is_some_and(|options| options.eq_ignore_ascii_case("overwrite"));
    let mut lake = call.storage.lake();
    let destination = place(&lake, &call.path, &normalised(destination)?)?;
    if destination == call.path {
        return Ok(boolean(true));
    }
    if destination.starts_with(&format!("{}/", call.path)) || call.path == "/" {
        return Err(illegal("A directory cannot be moved into itself."));
    }
    match lake.find(&destination) {
        Some(_) if !overwrite => return Ok(boolean(false)),
        Some(_) if lake.below(&destination).next().is_some() => return Ok(boolean(false)),
        Some(_) => drop(lake.take(&destination)),
        None => {}
    }
    if !lake.find(parent(&destination)).is_some_and(Node::is_directory) {
        return Err(not_found(parent(&destination)));
    }
    for (path, node) in lake.take(&call.path) {
        let rest = path.strip_prefix(&call.path).unwrap_or_default();
        lake.put(&format!("{destination}{rest}"), node);
    }
    Ok(boolean(true))
}

/// Where something comes that is moved there: into it, where it is a directory.
fn place(lake: &Tree, source: &str, destination: &str) -> Result<String, Failure> {
    lake.node(source)?;
    let into = destination != source && lake.find(destination).is_some_and(Node::is_directory);
    let name = source.rsplit('/').next().unwrap_or_default();
    Ok(if into { format!("{}/{name}", destination.trim_end_matches('/')) } else { destination.to_owned() })
}
