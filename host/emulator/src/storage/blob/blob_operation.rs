//! The operations of Blob, and the permissions of a shared access signature that they need.

use crate::messages::Request;
use crate::storage::blob_path::BlobPath;
use crate::storage::storage_error::{StorageError, invalid_parameter, not_implemented};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    ListContainers,
    CreateContainer,
    GetContainer,
    SetContainerMetadata,
    DeleteContainer,
    ListBlobs,
    Put,
    /// Copy Blob and Put Blob From URL.
    Copy,
    PutBlock,
    PutBlockList,
    GetBlockList,
    Append,
    Get,
    GetProperties,
    GetMetadata,
    SetMetadata,
    SetProperties,
    Lease,
    Delete,
    Tags,
}

impl Operation {
    pub(super) fn from_request(request: &Request, target: &BlobPath) -> Result<Self, StorageError> {
        let comp = request.query("comp").unwrap_or_default();
        let restype = request.query("restype").unwrap_or_default();
        let method = request.method.as_str();
        if target.container.is_empty() {
            return match (method, comp) {
                ("GET", "list") => Ok(Self::ListContainers),
                _ => Err(unknown_operation(method, comp)),
            };
        }
        if target.name.is_empty() || restype == "container" {
            return match (method, restype, comp) {
                ("PUT", "container", "") => Ok(Self::CreateContainer),
                ("GET" | "HEAD", "container", "" | "metadata") => Ok(Self::GetContainer),
                ("PUT", "container", "metadata") => Ok(Self::SetContainerMetadata),
                ("DELETE", "container", "") => Ok(Self::DeleteContainer),
                ("GET", "container", "list") => Ok(Self::ListBlobs),
                (_, "container", "lease" | "acl" | "undelete" | "rename") => {
                    Err(not_implemented(comp))
                }
                ("GET", "", "list") => Err(invalid_parameter("comp", "list")),
                _ => Err(unknown_operation(method, comp)),
            };
        }
        if request.query("snapshot").is_some() || request.query("versionid").is_some() {
            return Err(not_implemented("snapshots and versions"));
        }
        let from_url = request.headers.contains_key("x-ms-copy-source");
        match (method, comp) {
            ("PUT", "") if from_url => Ok(Self::Copy),
            ("PUT", "") => Ok(Self::Put),
            ("PUT", "block" | "appendblock") if from_url => {
                Err(not_implemented("a block from a URL"))
            }
            ("PUT", "block") => Ok(Self::PutBlock),
            ("PUT", "blocklist") => Ok(Self::PutBlockList),
            ("GET", "blocklist") => Ok(Self::GetBlockList),
            ("PUT", "appendblock") => Ok(Self::Append),
            ("GET", "") => Ok(Self::Get),
            ("HEAD", "") => Ok(Self::GetProperties),
            ("GET" | "HEAD", "metadata") => Ok(Self::GetMetadata),
            ("PUT", "metadata") => Ok(Self::SetMetadata),
            ("PUT", "properties") => Ok(Self::SetProperties),
            ("PUT", "lease") => Ok(Self::Lease),
            ("DELETE", "") => Ok(Self::Delete),
            ("GET" | "PUT", "tags") => Ok(Self::Tags),
            (
                _,
                "snapshot" | "tier" | "undelete" | "copy" | "page" | "pagelist" | "query" | "seal",
            ) => Err(not_implemented(comp)),
            _ => Err(unknown_operation(method, comp)),
        }
    }

    pub(super) fn takes_body(self) -> bool {
        matches!(self, Self::Put | Self::PutBlock | Self::PutBlockList | Self::Append)
    }

    /// The letters of which one is required ([permissions]); `None` if no service SAS allows it.
    ///
    /// [permissions]: https://learn.microsoft.com/rest/api/storageservices/create-service-sas#permissions-for-a-directory-container-or-blob
    pub(super) fn required_permissions(
        self,
        request: &Request,
        exists: bool,
    ) -> Option<&'static str> {
        match self {
            Self::ListContainers
            | Self::CreateContainer
            | Self::GetContainer
            | Self::SetContainerMetadata
            | Self::DeleteContainer => None,
            Self::ListBlobs => Some("l"),
            Self::Get | Self::GetProperties | Self::GetMetadata | Self::GetBlockList => Some("r"),
            Self::Put | Self::Copy if !exists => Some("cw"),
            Self::Append => Some("aw"),
            // The permission to delete a blob includes breaking its lease.
            Self::Lease
                if request
                    .header("x-ms-lease-action")
                    .is_some_and(|a| a.eq_ignore_ascii_case("break")) =>
            {
                Some("wd")
            }
            Self::Put
            | Self::Copy
            | Self::PutBlock
            | Self::PutBlockList
            | Self::SetMetadata
            | Self::SetProperties
            | Self::Lease => Some("w"),
            Self::Delete if request.query("versionid").is_some() => Some("x"),
            Self::Delete => Some("d"),
            Self::Tags => Some("t"),
        }
    }
}

fn unknown_operation(method: &str, comp: &str) -> StorageError {
    match comp {
        "" => StorageError::new(
            405,
            "UnsupportedHttpVerb",
            format!("The resource doesn't support specified Http Verb: {method}."),
        ),
        comp => invalid_parameter("comp", comp),
    }
}
