//! The tree of Gen1's files and directories.

use std::collections::BTreeMap;

use super::illegal;
use crate::content::Content;
use crate::storage::clock::now;
use crate::storage::failure::Failure;

/// What is in the report of each lake.
pub(in crate::storage) const REPORT: &str = "month,revenue\n2026-01,1200\n2026-02,1350\n";

/// All there is, by absolute paths without a slash at the end. The root is `/`.
#[derive(Debug)]
pub(in crate::storage) struct Tree(BTreeMap<String, Node>);

#[derive(Clone, Debug)]
pub(super) struct Node {
    /// `None` for a directory.
    pub(super) content: Option<Content>,
    pub(super) owner: String,
    pub(super) group: String,
    /// In octal: `770`.
    pub(super) permission: String,
    /// Entries beside those that the permission says: `user:NAME:rwx`, `default:group::r-x`.
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

/// An absolute path without dots, double slashes, or a slash at the end.
pub(super) fn normalised(path: &str) -> Result<String, Failure> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.iter().any(|segment| matches!(*segment, "." | "..")) || path.contains('\0') {
        return Err(illegal(&format!("Invalid path: {path}")));
    }
    Ok(format!("/{}", segments.join("/")))
}

pub(super) fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

pub(super) fn not_found(path: &str) -> Failure {
    Failure::new(404, "FileNotFoundException", format!("File/Folder does not exist: {path}"))
}

/// What the paths of everything in a directory begin with.
fn prefix(directory: &str) -> String {
    if directory == "/" { directory.to_owned() } else { format!("{directory}/") }
}

impl Tree {
    /// The lake of the demo.
    pub(in crate::storage) fn contoso() -> Self {
        let superuser = "00000000-0000-0000-0000-000000000000";
        let mut tree = BTreeMap::new();
        tree.insert("/".to_owned(), Node::new(None, superuser));
        tree.insert("/reports".to_owned(), Node::new(None, superuser));
        tree.insert("/reports/2026.csv".to_owned(), Node::new(Some(Content::from(REPORT)), superuser));
        Self(tree)
    }

    pub(super) fn find(&self, path: &str) -> Option<&Node> {
        self.0.get(path)
    }

    pub(super) fn node(&self, path: &str) -> Result<&Node, Failure> {
        self.0.get(path).ok_or_else(|| not_found(path))
    }

    pub(super) fn node_mut(&mut self, path: &str) -> Result<&mut Node, Failure> {
        self.0.get_mut(path).ok_or_else(|| not_found(path))
    }

    /// The content of a file.
    pub(super) fn file_mut(&mut self, path: &str) -> Result<&mut Node, Failure> {
        let node = self.node_mut(path)?;
        if node.is_directory() {
            return Err(not_a_file(path));
        }
        Ok(node)
    }

    /// What is in a directory, by names.
    pub(super) fn children(&self, directory: &str) -> impl Iterator<Item = (&str, &Node)> {
        let prefix = prefix(directory);
        let below = self.0.iter();
        below.filter_map(move |(path, node)| {
            let name = path.strip_prefix(&prefix)?;
            (!name.is_empty() && !name.contains('/')).then_some((name, node))
        })
    }

    /// Everything under a path, at any depth, without itself.
    pub(super) fn below(&self, path: &str) -> impl Iterator<Item = (&str, &Node)> {
        let prefix = prefix(path);
        self.0
            .iter()
            .filter(move |(path, _)| path.starts_with(&prefix) && path.as_str() != "/")
            .map(|(p, n)| (p.as_str(), n))
    }

    /// Makes a directory, and those above it.
    pub(super) fn make_directories(&mut self, path: &str, owner: &str) -> Result<(), Failure> {
        match self.0.get(path) {
            Some(node) if node.is_directory() => return Ok(()),
            Some(_) => {
                let message = format!("{path} is a file");
                return Err(Failure::new(409, "FileAlreadyExistsException", message));
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

    /// Takes a path and everything below it out of the tree.
    pub(super) fn take(&mut self, path: &str) -> Vec<(String, Node)> {
        let mut all: Vec<String> = self.below(path).map(|(path, _)| path.to_owned()).collect();
        all.push(path.to_owned());
        all.into_iter().filter_map(|path| self.0.remove(&path).map(|node| (path, node))).collect()
    }
}

pub(super) fn not_a_file(path: &str) -> Failure {
    Failure::new(403, "AccessControlException", format!("{path} is a directory, not a file"))
}
