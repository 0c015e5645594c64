//! The containers and blobs of the account. A container is also a filesystem of Data Lake Gen2, and
//! a blob a file.

use std::collections::BTreeMap;

use super::lease::Lease;
use super::storage_error::{StorageError, blob_not_found, container_not_found};
use super::time_format::now;
use crate::content::Content;
use crate::messages::Request;

/// The metadata of a container or blob: names in lower case, without `x-ms-meta-`.
pub(super) type Metadata = BTreeMap<String, String>;

/// The metadata that marks a blob as a directory of Data Lake Gen2.
pub(super) const DIRECTORY_MARK: &str = "hdi_isfolder";

/// The properties of a blob: the header field of responses, the one that sets it, and the element
/// of lists.
pub(super) const PROPERTIES: [(&str, &str, &str); 6] = [
    ("content-type", "x-ms-blob-content-type", "Content-Type"),
    ("content-encoding", "x-ms-blob-content-encoding", "Content-Encoding"),
    ("content-language", "x-ms-blob-content-language", "Content-Language"),
    ("content-md5", "x-ms-blob-content-md5", "Content-MD5"),
    ("cache-control", "x-ms-blob-cache-control", "Cache-Control"),
    ("content-disposition", "x-ms-blob-content-disposition", "Content-Disposition"),
];

#[derive(Debug, Default)]
pub(super) struct BlobStore {
    pub(super) containers: BTreeMap<String, Container>,
    changes: u64,
}

/// The ETag and the time of the last change of something.
#[derive(Clone, Debug, Default)]
pub(super) struct Revision {
    /// With quotes.
    pub(super) etag: String,
    /// In Unix seconds.
    pub(super) modified: u64,
}

#[derive(Debug, Default)]
pub(super) struct Container {
    pub(super) metadata: Metadata,
    pub(super) revision: Revision,
    pub(super) blobs: BTreeMap<String, Blob>,
    /// Blocks that are not committed yet, by the name of the blob.
    pub(super) uncommitted: BTreeMap<String, Vec<(String, Content)>>,
    /// Positions and bytes that Gen2 has appended and not flushed yet, by the name of the file.
    pub(super) unflushed: BTreeMap<String, Vec<(u64, Content)>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum BlobType {
    #[default]
    Block,
    Append,
}

impl BlobType {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Block => "BlockBlob",
            Self::Append => "AppendBlob",
        }
    }
}

/// The access control of a file in Gen2. The emulator stores it and does not enforce it.
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
        Self {
            owner: superuser(),
            group: superuser(),
            permissions: permissions.to_owned(),
            acl: acl.to_owned(),
        }
    }
}

/// The copy operation that created a blob.
#[derive(Clone, Debug)]
pub(super) struct CopyInfo {
    pub(super) id: String,
    pub(super) source: String,
    /// In Unix seconds.
    pub(super) completed: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Blob {
    pub(super) blob_type: BlobType,
    pub(super) content: Content,
    /// The committed blocks, in order.
    pub(super) blocks: Vec<(String, Content)>,
    /// The number of appended blocks of an append blob.
    pub(super) append_count: u64,
    pub(super) properties: BTreeMap<&'static str, String>,
    pub(super) metadata: Metadata,
    pub(super) revision: Revision,
    pub(super) created: u64,
    pub(super) lease: Lease,
    pub(super) copy: Option<CopyInfo>,
    pub(super) access: Access,
}

impl Blob {
    pub(super) fn new(blob_type: BlobType, content: Content, revision: Revision) -> Self {
        let created = revision.modified;
        let properties = BTreeMap::from([("content-type", "application/octet-stream".to_owned())]);
        Self {
            blob_type,
            content,
            blocks: Vec::new(),
            append_count: 0,
            properties,
            metadata: Metadata::new(),
            revision,
            created,
            lease: Lease::default(),
            copy: None,
            access: Access::new(false),
        }
    }

    pub(super) fn directory(revision: Revision) -> Self {
        let mut blob = Self::new(BlobType::Block, Content::default(), revision);
        blob.metadata.insert(DIRECTORY_MARK.to_owned(), "true".to_owned());
        blob.access = Access::new(true);
        blob
    }

    pub(super) fn is_directory(&self) -> bool {
        self.metadata.get(DIRECTORY_MARK).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The ETag and the time, for conditions.
    pub(super) fn etag_and_time(&self) -> Option<(&str, u64)> {
        Some(self.revision.etag_and_time())
    }
}

impl Revision {
    pub(super) fn etag_and_time(&self) -> (&str, u64) {
        (&self.etag, self.modified)
    }
}

impl BlobStore {
    /// The blobs of the demo.
    pub(super) fn contoso() -> Self {
        let mut store = Self::default();
        let mut put = |container: &str, name: &str, content_type: &str, text: &'static str| {
            let revision = store.next_revision();
            let mut blob = Blob::new(BlobType::Block, Content::from(text), revision.clone());
            blob.properties.insert("content-type", content_type.to_owned());
            let container = store
                .containers
                .entry(container.to_owned())
                .or_insert_with(|| Container::new(revision.clone()));
            if let Some((directory, _)) = name.rsplit_once('/') {
                container.blobs.insert(directory.to_owned(), Blob::directory(revision));
            }
            container.blobs.insert(name.to_owned(), blob);
        };
        put("hello", "world.txt", "text/plain", "Hello, world!");
        put("lake", "reports/2026.csv", "text/csv", super::gen1::REPORT);
        store
    }

    /// The current time and a unique ETag.
    pub(super) fn next_revision(&mut self) -> Revision {
        self.changes += 1;
        Revision { etag: format!("\"0x8DE{:012X}\"", self.changes), modified: now() }
    }

    pub(super) fn container(&self, name: &str) -> Result<&Container, StorageError> {
        self.containers.get(name).ok_or_else(container_not_found)
    }

    pub(super) fn container_mut(&mut self, name: &str) -> Result<&mut Container, StorageError> {
        self.containers.get_mut(name).ok_or_else(container_not_found)
    }

    pub(super) fn has(&self, container: &str, name: &str) -> bool {
        self.containers.get(container).is_some_and(|container| container.blobs.contains_key(name))
    }
}

impl Container {
    pub(super) fn new(revision: Revision) -> Self {
        Self { revision, ..Self::default() }
    }

    pub(super) fn blob(&self, name: &str) -> Result<&Blob, StorageError> {
        self.blobs.get(name).ok_or_else(blob_not_found)
    }

    pub(super) fn blob_mut(&mut self, name: &str) -> Result<&mut Blob, StorageError> {
        self.blobs.get_mut(name).ok_or_else(blob_not_found)
    }
}

/// The metadata in the header fields of a request.
pub(super) fn metadata_of(request: &Request) -> Metadata {
    let fields = request.headers.iter();
    let pairs = fields.filter_map(|(name, value)| {
        Some((name.as_str().strip_prefix("x-ms-meta-")?, value.to_str().ok()?))
    });
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
