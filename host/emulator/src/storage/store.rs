//! What is in the account: containers, and the blobs in them. A container is a filesystem of Data Lake Gen2, and a blob a file.

use std::collections::BTreeMap;

use super::clock::now;
use super::failure::{Failure, no_blob, no_container};
use super::lease::Lease;
use crate::content::Content;
use crate::exchange::Received;

/// The metadata of a container or blob: names in lower case, without `x-ms-meta-`.
pub(super) type Metadata = BTreeMap<String, String>;

/// The metadata that marks a blob as a directory of Data Lake Gen2.
pub(super) const FOLDER: &str = "hdi_isfolder";

/// A blob's header fields: as answers have them, as requests set them, as lists and Gen2's requests call them.
pub(super) const PROPERTIES: [(&str, &str, &str); 6] = [
    ("content-type", "x-ms-blob-content-type", "Content-Type"),
    ("content-encoding", "x-ms-blob-content-encoding", "Content-Encoding"),
    ("content-language", "x-ms-blob-content-language", "Content-Language"),
    ("content-md5", "x-ms-blob-content-md5", "Content-MD5"),
    ("cache-control", "x-ms-blob-cache-control", "Cache-Control"),
    ("content-disposition", "x-ms-blob-content-disposition", "Content-Disposition"),
];

#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) containers: BTreeMap<String, Container>,
    changes: u64,
}

/// When something was changed, and the ETag that it got by that.
#[derive(Clone, Debug, Default)]
pub(super) struct Stamp {
    /// With its quotes.
    pub(super) etag: String,
    pub(super) modified: u64,
}

#[derive(Debug, Default)]
pub(super) struct Container {
    pub(super) metadata: Metadata,
    pub(super) stamp: Stamp,
    pub(super) blobs: BTreeMap<String, Blob>,
    /// The blocks that no list has committed yet, by the blob's name.
    pub(super) uncommitted: BTreeMap<String, Vec<(String, Content)>>,
    /// What was appended through Gen2 and not flushed yet: positions and bytes, by the file's name.
    pub(super) unflushed: BTreeMap<String, Vec<(u64, Content)>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Block,
    Append,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Block => "BlockBlob",
            Self::Append => "AppendBlob",
        }
    }
}

/// Who may do what with a file, as Gen2 shows it. The emulator stores it and does not look at it.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) owner: String,
    pub(super) group: String,
    pub(super) permissions: String,
    pub(super) acl: String,
}

impl Access {
    pub(super) fn new(directory: bool) -> Self {
        let (permissions, acl) = if directory {
            ("rwxr-x---", "user::rwx,group::r-x,other::---")
        } else {
            ("rw-r-----", "user::rw-,group::r--,other::---")
        };
        let superuser = || "$superuser".to_owned();
        Self { owner: superuser(), group: superuser(), permissions: permissions.to_owned(), acl: acl.to_owned() }
    }
}

/// Where a blob was copied from.
#[derive(Clone, Debug)]
pub(super) struct Copied {
    pub(super) id: String,
    pub(super) source: String,
    pub(super) at: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Blob {
    pub(super) kind: Kind,
    pub(super) content: Content,
    /// The committed blocks, in their order.
    pub(super) blocks: Vec<(String, Content)>,
    /// Of append blobs: how often was appended.
    pub(super) appended: u64,
    pub(super) properties: BTreeMap<&'static str, String>,
    pub(super) metadata: Metadata,
    pub(super) stamp: Stamp,
    pub(super) created: u64,
    pub(super) lease: Lease,
    pub(super) copied: Option<Copied>,
    pub(super) access: Access,
}

impl Blob {
    pub(super) fn new(kind: Kind, content: Content, stamp: Stamp) -> Self {
        let created = stamp.modified;
        let properties = BTreeMap::from([("content-type", "application/octet-stream".to_owned())]);
        Self {
            kind,
            content,
            blocks: Vec::new(),
            appended: 0,
            properties,
            metadata: Metadata::new(),
            stamp,
            created,
            lease: Lease::default(),
            copied: None,
            access: Access::new(false),
        }
    }

    pub(super) fn directory(stamp: Stamp) -> Self {
        let mut blob = Self::new(Kind::Block, Content::default(), stamp);
        blob.metadata.insert(FOLDER.to_owned(), "true".to_owned());
        blob.access = Access::new(true);
        blob
    }

    pub(super) fn is_directory(&self) -> bool {
        self.metadata.get(FOLDER).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub(super) fn found(&self) -> Option<(&str, u64)> {
        Some(self.stamp.found())
    }
}

impl Stamp {
    pub(super) fn found(&self) -> (&str, u64) {
        (&self.etag, self.modified)
    }
}

impl Store {
    /// What there is when it starts.
    pub(super) fn contoso() -> Self {
        let mut store = Self::default();
        let mut put = |container: &str, name: &str, kind: &str, text: &'static str| {
            let stamp = store.stamp();
            let mut blob = Blob::new(Kind::Block, Content::from(text), stamp.clone());
            blob.properties.insert("content-type", kind.to_owned());
            let container =
                store.containers.entry(container.to_owned()).or_insert_with(|| Container::new(stamp.clone()));
            if let Some((directory, _)) = name.rsplit_once('/') {
                container.blobs.insert(directory.to_owned(), Blob::directory(stamp));
            }
            container.blobs.insert(name.to_owned(), blob);
        };
        put("hello", "world.txt", "text/plain", "Hello, world!");
        put("lake", "reports/2026.csv", "text/csv", super::gen1::REPORT);
        store
    }

    /// The time, and an ETag that nothing had before.
    pub(super) fn stamp(&mut self) -> Stamp {
        self.changes += 1;
        Stamp { etag: format!("\"0x8DE{:012X}\"", self.changes), modified: now() }
    }

    pub(super) fn container(&self, name: &str) -> Result<&Container, Failure> {
        self.containers.get(name).ok_or_else(no_container)
    }

    pub(super) fn container_mut(&mut self, name: &str) -> Result<&mut Container, Failure> {
        self.containers.get_mut(name).ok_or_else(no_container)
    }

    pub(super) fn has(&self, container: &str, name: &str) -> bool {
        self.containers.get(container).is_some_and(|container| container.blobs.contains_key(name))
    }
}

impl Container {
    pub(super) fn new(stamp: Stamp) -> Self {
        Self { stamp, ..Self::default() }
    }

    pub(super) fn blob(&self, name: &str) -> Result<&Blob, Failure> {
        self.blobs.get(name).ok_or_else(no_blob)
    }

    pub(super) fn blob_mut(&mut self, name: &str) -> Result<&mut Blob, Failure> {
        self.blobs.get_mut(name).ok_or_else(no_blob)
    }
}

/// The metadata that a request sets.
pub(super) fn metadata_of(request: &Received) -> Metadata {
    let fields = request.headers.iter();
    let pairs =
        fields.filter_map(|(name, value)| Some((name.as_str().strip_prefix("x-ms-meta-")?, value.to_str().ok()?)));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
