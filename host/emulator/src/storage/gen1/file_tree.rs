//! The files and directories of Gen1.

use std::collections::BTreeMap;

use super::illegal_argument;
use crate::content::Content;
use crate::storage::storage_error::StorageError;
use crate::storage::time_format::now;

/// The content of the report in each Data Lake.
pub(in crate::storage) const REPORT: &str = "month,revenue\n2026-01,1200\n2026-02,1350\n";

/// All files and directories by absolute paths, without a slash at the end. The root is `/`.
#[derive(Debug)]
pub(in crate::storage) struct FileTree(BTreeMap<String, Node>);

#[derive(Clone, Debug)]
pub(super) struct Node {
    /// `None` for a directory.
    pub(super) content: Option<Content>,
    pub(super) owner: String,
    pub(super) group: String,
    /// In octal: `770`.
    pub(super) permission: String,
    /// Entries that the permission does not have: `user:NAME:rwx`, `default:group::r-x`.
    pub(super) acl: Vec<String>,
    /// In Unix seconds.
    pub(super) modified: u64,
}

impl Node {
    pub(super) fn new(content: Option<Content>, owner: &str) -> Self {
        let (owner, group, permission) = (owner.to_owned(), owner.to_owned(), "770".to_owned());
        Self { content, owner, group, permission, acl: Vec::new(), modified: now() }
    }

    pub(super) fn is_directory(&self) -> bool {
        self.content.is_none()
    }

    pub(super) fn length(&self) -> u64 {
        self.content.as_ref().map_or(0, Content::len)
    }
}

/// Normalizes a path to an absolute one without dots, double slashes, or a slash at the end.
pub(super) fn normalized(path: &str) -> Result<String, StorageError> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.iter().any(|segment| matches!(*segment, "." | "..")) || path.contains('\0') {
        return Err(illegal_argument(&format!("Invalid path: {path}")));
    }
    Ok(format!("/{}", segments.join("/")))
}

pub(super) fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

pub(super) fn not_found(path: &str) -> StorageError {
    StorageError::new(404, "FileNotFoundException", format!("File/Folder does not exist: {path}"))
}

/// The common prefix of all paths in a directory.
fn prefix(directory: &str) -> String {
    if directory == "/" { directory.to_owned() } else { format!("{directory}/") }
}

impl FileTree {
    /// The files of the demo.
    pub(in crate::storage) fn contoso() -> Self {
        let superuser = "00000000-0000-0000-0000-000000000000";
        let mut tree = BTreeMap::new();
        tree.insert("/".to_owned(), Node::new(None, superuser));
        tree.insert("/reports".to_owned(), Node::new(None, superuser));
        tree.insert(
            "/reports/2026.csv".to_owned(),
            Node::new(Some(Content::from(REPORT)), superuser),
        );
        Self(tree)
    }

    pub(super) fn find(&self, path: &str) -> Option<&Node> {
        self.0.get(path)
    }

    pub(super) fn node(&self, path: &str) -> Result<&Node, StorageError> {
        self.0.get(path).ok_or_else(|| not_found(path))
    }

    pub(super) fn node_mut(&mut self, path: &str) -> Result<&mut Node, StorageError> {
        self.0.get_mut(path).ok_or_else(|| not_found(path))
    }

    /// A file; a directory is an error.
    pub(super) fn file_mut(&mut self, path: &str) -> Result<&mut Node, StorageError> {
        let node = self.node_mut(path)?;
        if node.is_directory() {
            return Err(not_a_file(path));
        }
        Ok(node)
    }

    /// The names and nodes in a directory.
    pub(super) fn children(&self, directory: &str) -> impl Iterator<Item = (&str, &Node)> {
        let prefix = prefix(directory);
        let below = self.0.iter();
        below.filter_map(move |(path, node)| {
            let name = path.strip_prefix(&prefix)?;
            (!name.is_empty() && !name.contains('/')).then_some((name, node))
        })
    }

    /// Everything below a path, at any depth, without the path itself.
    pub(super) fn below(&self, path: &str) -> impl Iterator<Item = (&str, &Node)> {
        let prefix = prefix(path);
        self.0
            .iter()
            .filter(move |(path, _)| path.starts_with(&prefix) && path.as_str() != "/")
            .map(|(p, n)| (p.as_str(), n))
    }

    /// Creates a directory and its parents.
    pub(super) fn make_directories(&mut self, path: &str, owner: &str) -> Result<(), StorageError> {
        match self.0.get(path) {
            Some(node) if node.is_directory() => return Ok(()),
            Some(_) => {
                let message = format!("{path} is a file");
                return Err(StorageError::new(409, "FileAlreadyExistsException", message));
            }
            None => {}
        }
        self.make_directories(parent(path), owner)?;
        self.0.insert(path.to_owned(), Node::new(None, owner));
        Ok(())
    }

    pub(super) fn put(&mut self, path: &str, node: Node) {
        self.0.insert(path.to_owned(), node);
    }

    /// Removes a path and everything below it, and returns them.
    pub(super) fn take(&mut self, path: &str) -> Vec<(String, Node)> {
        let mut all: Vec<String> = self.below(path).map(|(path, _)| path.to_owned()).collect();
        all.push(path.to_owned());
        all.into_iter().filter_map(|path| self.0.remove(&path).map(|node| (path, node))).collect()
    }
}

pub(super) fn not_a_file(path: &str) -> StorageError {
    StorageError::new(403, "AccessControlException", format!("{path} is a directory, not a file"))
}
