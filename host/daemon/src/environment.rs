//! Environment variables. The daemon reads them only through this module.
#![allow(clippy::disallowed_methods, reason = "all reads of the environment are here")]

use std::path::PathBuf;

/// A variable, if it is set and is valid UTF-8.
pub(crate) fn var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A variable that contains a path, if it is set and not empty.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
