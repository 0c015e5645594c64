//! What a path names: a container, and a blob in it.

use percent_encoding::percent_decode_str;

use crate::exchange::Received;

/// A container, which is a filesystem too, and a name in it. Both are empty where the path has none. As with the service, a
/// backslash in the name is a slash.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) container: String,
    pub(super) name: String,
}

impl Target {
    pub(super) fn of(request: &Received) -> Self {
        Self::of_path(&request.path)
    }

    /// What a path as it is in a URL names.
    pub(super) fn of_path(path: &str) -> Self {
        let (container, name) = split(path);
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        Self { container: decoded(container), name: decoded(name).replace('\\', "/") }
    }
}

/// `/container/name/with/slashes` in its two parts.
pub(super) fn split(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_once('/').unwrap_or((path, ""))
}
