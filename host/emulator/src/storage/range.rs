//! Ranges of bytes ([as Blob reads them](https://learn.microsoft.com/rest/api/storageservices/specifying-the-range-header-for-blob-service-operations)).

use super::failure::Failure;
use crate::exchange::Received;

/// The first and the last byte that a request wants, where it wants only a part. `x-ms-range` goes before `range`. What is
/// not of the form `bytes=first-[last]` counts as nothing, as in Blob: there are no suffix ranges.
pub(super) fn wanted(request: &Received, length: u64) -> Result<Option<(u64, u64)>, Failure> {
    let Some(text) = request.header("x-ms-range").or_else(|| request.header("range")) else { return Ok(None) };
    let Some((first, last)) = parse(text) else { return Ok(None) };
    if first >= length {
        return Err(Failure::new(
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
    fn only_whole_ranges_count() {
        assert_eq!(parse("bytes=0-4"), Some((0, Some(4))));
        assert_eq!(parse("bytes=7-"), Some((7, None)));
        for other in ["bytes=-5", "bytes=4-2", "bytes=a-b", "items=0-4", "bytes=0-1,3-4", ""] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
