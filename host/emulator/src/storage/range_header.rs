//! The header fields `range` and `x-ms-range` ([Blob's rules]).
//!
//! [Blob's rules]: https://learn.microsoft.com/rest/api/storageservices/specifying-the-range-header-for-blob-service-operations

use super::storage_error::StorageError;
use crate::messages::Request;

/// The first and last byte of the requested range, if there is one. `x-ms-range` takes precedence.
/// As in Blob, everything but `bytes=first-[last]` is ignored: there are no suffix ranges.
pub(super) fn requested_range(
    request: &Request,
    length: u64,
) -> Result<Option<(u64, u64)>, StorageError> {
    let Some(text) = request.header("x-ms-range").or_else(|| request.header("range")) else {
        return Ok(None);
    };
    let Some((first, last)) = parse(text) else {
        return Ok(None);
    };
    if first >= length {
        return Err(StorageError::new(
            416,
            "InvalidRange",
            "The range specified is invalid for the current size of the resource.",
        )
        .header("content-range", format!("bytes */{length}")));
    }
    Ok(Some((first, last.unwrap_or(u64::MAX).min(length - 1))))
}

fn parse(text: &str) -> Option<(u64, Option<u64>)> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let first = first.parse().ok()?;
    let last = if last.is_empty() { None } else { Some(last.parse().ok()?) };
    last.is_none_or(|last| last >= first).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_other_forms_are_ignored() {
        assert_eq!(parse("bytes=0-4"), Some((0, Some(4))));
        assert_eq!(parse("bytes=7-"), Some((7, None)));
        for other in ["bytes=-5", "bytes=4-2", "bytes=a-b", "items=0-4", "bytes=0-1,3-4", ""] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
