//! The path of a container or a blob.

use percent_encoding::percent_decode_str;

use crate::messages::Request;

/// The container (or filesystem) and the name in it, decoded. Both are empty if the path has none.
/// As in the service, a backslash in the name is a slash.
#[derive(Clone, Debug)]
pub(super) struct BlobPath {
    pub(super) container: String,
    pub(super) name: String,
}

impl BlobPath {
    pub(super) fn of_request(request: &Request) -> Self {
        Self::parse(&request.path)
    }

    /// Parses the path of a URL.
    pub(super) fn parse(path: &str) -> Self {
        let (container, name) = split(path);
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        Self { container: decoded(container), name: decoded(name).replace('\\', "/") }
    }
}

/// Splits `/container/name/with/slashes` after the container.
pub(super) fn split(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_once('/').unwrap_or((path, ""))
}
