//! Conditional header fields ([Blob's rules]).
//!
//! [Blob's rules]: https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations

use super::storage_error::{StorageError, invalid_header};
use super::time_format;
use crate::messages::Request;

/// Whether a request reads or writes. If the resource is unmodified, a read gets 304, a write 412.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccessKind {
    Read,
    Write,
}

/// Checks the conditions of a request against the ETag and the time of the resource, if it exists.
pub(super) fn check(
    request: &Request,
    resource: Option<(&str, u64)>,
    access: AccessKind,
) -> Result<(), StorageError> {
    let not_met = |status| {
        let message = "The condition specified using HTTP conditional header(s) is not met.";
        StorageError::new(status, "ConditionNotMet", message)
    };
    let unmodified_status = if access == AccessKind::Read { 304 } else { 412 };
    let matches =
        |tags: &str| resource.is_some_and(|(etag, _)| tags.trim() == "*" || same_etag(tags, etag));
    let date = |name: &'static str| match request.header(name) {
        Some(text) => {
            time_format::parse_http(text).map(Some).ok_or_else(|| invalid_header(name, text))
        }
        None => Ok(None),
    };
    if request.header("if-match").is_some_and(|tags| !matches(tags)) {
        return Err(not_met(412));
    }
    if let Some(tags) = request.header("if-none-match") {
        match (tags.trim(), access) {
            ("*", AccessKind::Read) => return Err(invalid_header("If-None-Match", "*")),
            ("*", AccessKind::Write) if resource.is_some() => {
                return Err(StorageError::new(
                    409,
                    "BlobAlreadyExists",
                    "The specified blob already exists.",
                ));
            }
            (tags, _) if matches(tags) => return Err(not_met(unmodified_status)),
            _ => {}
        }
    }
    let modified = resource.map_or(0, |(_, modified)| modified);
    if resource.is_some() && date("if-modified-since")?.is_some_and(|since| modified <= since) {
        return Err(not_met(unmodified_status));
    }
    if resource.is_some() && date("if-unmodified-since")?.is_some_and(|since| modified > since) {
        return Err(not_met(412));
    }
    Ok(())
}

fn same_etag(a: &str, b: &str) -> bool {
    a.trim().trim_matches('"') == b.trim_matches('"')
}
