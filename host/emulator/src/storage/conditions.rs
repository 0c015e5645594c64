//! Conditional header fields ([how Blob takes them]).
//!
//! [how Blob takes them]: https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations

use super::clock;
use super::failure::{Failure, bad_header};
use crate::exchange::Received;

/// What is done to the resource: a read that is not wanted is answered with 304, a write with 412.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Reading,
    Writing,
}

/// Checks them against a resource's ETag and time, where there is one.
pub(super) fn check(request: &Received, found: Option<(&str, u64)>, doing: Doing) -> Result<(), Failure> {
    let not_met = |status| {
        Failure::new(status, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.")
    };
    let unwanted = if doing == Doing::Reading { 304 } else { 412 };
    let is_found = |tags: &str| found.is_some_and(|(etag, _)| tags.trim() == "*" || same(tags, etag));
    let date = |name: &'static str| match request.header(name) {
        Some(text) => clock::parse_http(text).map(Some).ok_or_else(|| bad_header(name, text)),
        None => Ok(None),
    };
    if request.header("if-match").is_some_and(|tags| !is_found(tags)) {
        return Err(not_met(412));
    }
    if let Some(tags) = request.header("if-none-match") {
        match (tags.trim(), doing) {
            ("*", Doing::Reading) => return Err(bad_header("If-None-Match", "*")),
            ("*", Doing::Writing) if found.is_some() => {
                return Err(Failure::new(409, "BlobAlreadyExists", "The specified blob already exists."));
            }
            (tags, _) if is_found(tags) => return Err(not_met(unwanted)),
            _ => {}
        }
    }
    let modified = found.map_or(0, |(_, modified)| modified);
    if found.is_some() && date("if-modified-since")?.is_some_and(|since| modified <= since) {
        return Err(not_met(unwanted));
    }
    if found.is_some() && date("if-unmodified-since")?.is_some_and(|since| modified > since) {
        return Err(not_met(412));
    }
    Ok(())
}

fn same(a: &str, b: &str) -> bool {
    a.trim().trim_matches('"') == b.trim_matches('"')
}
