//! Patterns of paths: `/secrets/*`.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{percent_decode, percent_decode_str};
use serde::Deserialize;

use crate::path::{NormalPath, PathError, PathReading};

/// A pattern of paths. `*` matches any characters within one segment, and `**` as the last segment
/// matches all segments that follow, of which one at least is not empty. Segments are compared
/// decoded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct PathPattern {
    text: String,
    segments: Vec<Glob>,
    any_depth: bool,
    /// What is in it that only some services have in a path.
    special: Option<PathError>,
}

/// A segment of a pattern, decoded. `None` matches any bytes, at least one.
type Glob = Vec<Option<u8>>;

/// Why a string is not a pattern of paths, with an example of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct InvalidPathPattern {
    pub(crate) reason: String,
    /// A valid pattern, similar where possible.
    pub(crate) example: String,
}

impl PathPattern {
    pub(crate) fn parse(path: &str) -> Result<Self, InvalidPathPattern> {
        let invalid = |reason: String, example: String| InvalidPathPattern { reason, example };
        let special = match NormalPath::parse(path) {
            Ok(_) => None,
            // Some services have these in names. The rest of the path must be valid.
            Err(error @ (PathError::Semicolon | PathError::EncodedSlash))
                if NormalPath::parse(&without_special_characters(path)).is_ok() =>
            {
                Some(if path.to_ascii_lowercase().contains("%2f") {
                    PathError::EncodedSlash
                } else {
                    error
                })
            }
            Err(error) => {
                let example = match error {
                    PathError::NotAbsolute | PathError::EmptySegment => {
                        format!("/{}", path.trim_matches('/').replace("//", "/"))
                    }
                    _ => "/path/*".to_owned(),
                };
                return Err(invalid(format!("ambiguous path, {error}"), example));
            }
        };
        let mut segments: Vec<&str> = path.split('/').skip(1).collect();
        let any_depth = segments.last().is_some_and(|last| *last == "**");
        if any_depth {
            segments.pop();
        }
        if segments.iter().any(|segment| segment.contains("**")) {
            let reason = "it has ** before the last segment".to_owned();
            return Err(invalid(reason, path.replace("**", "*")));
        }
        let segments = segments.into_iter().map(decoded).collect();
        Ok(Self { text: path.to_owned(), segments, any_depth, special })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether one reading of a path matches.
    pub(crate) fn matches(&self, reading: &str, ignore_case: bool) -> bool {
        let mut segments = reading.split('/').skip(1);
        for pattern in &self.segments {
            let Some(segment) = segments.next() else { return false };
            let segment: Cow<'_, [u8]> = percent_decode_str(segment).into();
            if !glob(pattern, &segment, ignore_case) {
                return false;
            }
        }
        if self.any_depth {
            segments.any(|segment| !segment.is_empty())
        } else {
            segments.next().is_none()
        }
    }

    /// Whether some path may match both patterns. It may say so of patterns that no path matches.
    pub(crate) fn may_overlap(&self, other: &Self) -> bool {
        let (one, two) = (&self.segments, &other.segments);
        let fits = |pattern: &Self, other: &Self| {
            pattern.segments.len() >= other.segments.len() + usize::from(!pattern.any_depth)
                && other.any_depth
        };
        let lengths = one.len() == two.len() && self.any_depth == other.any_depth
            || fits(self, other)
            || fits(other, self);
        let overlap = |(one, two): (&Glob, &Glob)| {
            let literal = |glob: &Glob| glob.iter().copied().collect::<Option<Vec<u8>>>();
            match (literal(one), literal(two)) {
                (Some(text), _) => glob(two, &text, true),
                (None, Some(text)) => glob(one, &text, true),
                (None, None) => true,
            }
        };
        lengths && one.iter().zip(two).all(overlap)
    }

    /// Whether the segment of this index has no `*`.
    pub(crate) fn has_literal(&self, segment: usize) -> bool {
        self.segments.get(segment).is_some_and(|segment| !segment.contains(&None))
    }

    /// Why the pattern can never match a path that is read in this way; `None` if it can.
    pub(crate) fn unmatchable_by(&self, reading: PathReading) -> Option<PathError> {
        self.special.filter(|special| match reading {
            PathReading::Segments => true,
            PathReading::Names { .. } | PathReading::Files { .. } => {
                *special == PathError::EncodedSlash
            }
            PathReading::Keys { .. } => false,
        })
    }
}

impl TryFrom<String> for PathPattern {
    type Error = InvalidPathPattern;

    fn try_from(text: String) -> Result<Self, InvalidPathPattern> {
        Self::parse(&text)
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Replaces the characters that only some services have in names.
fn without_special_characters(path: &str) -> String {
    ["%2f", "%2F", "%3b", "%3B", ";"]
        .iter()
        .fold(path.to_owned(), |path, special| path.replace(special, "_"))
}

/// Decodes a segment for comparison: `*` matches any bytes, and `%2A` is a literal star.
fn decoded(segment: &str) -> Glob {
    let mut glob = Glob::new();
    for (index, literal) in segment.split('*').enumerate() {
        if index > 0 {
            glob.push(None);
        }
        glob.extend(percent_decode(literal.as_bytes()).map(Some));
    }
    glob
}

/// Whether a segment matches. `*` matches at least one character: `/secrets/*` does not match the
/// list `/secrets/`.
fn glob(pattern: &[Option<u8>], segment: &[u8], ignore_case: bool) -> bool {
    let same = |a: &u8, b: &u8| if ignore_case { a.eq_ignore_ascii_case(b) } else { a == b };
    // After each star, the shortest match that goes on is enough: what is between stars is found
    // greedily.
    let (mut p, mut s) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), segment.get(s)) {
            (Some(None), Some(_)) => {
                retry = Some((p + 1, s + 1));
                (p, s) = (p + 1, s + 1);
            }
            (None, None) => return true,
            (Some(Some(expected)), Some(byte)) if same(expected, byte) => (p, s) = (p + 1, s + 1),
            _ => match retry {
                Some((after_star, next)) if next < segment.len() => {
                    retry = Some((after_star, next + 1));
                    (p, s) = (after_star, next + 1);
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_overlap_if_a_path_may_match_both() {
        let overlap = |one: &str, two: &str| {
            let (one, two) = (PathPattern::parse(one).unwrap(), PathPattern::parse(two).unwrap());
            assert_eq!(one.may_overlap(&two), two.may_overlap(&one), "{one} {two}");
            one.may_overlap(&two)
        };
        for (one, two) in [
            ("/keys/*/*/sign", "/keys/**"),
            ("/keys/*/*/sign", "/**"),
            ("/keys/*/*/sign", "/keys/k/*/sign"),
            ("/keys/*/*/sign", "/*/*/*/*"),
            ("/a", "/a"),
            ("/a/**", "/a/**"),
            ("/a/**", "/**"),
            ("/", "/"),
        ] {
            assert!(overlap(one, two), "{one} {two}");
        }
        for (one, two) in [
            ("/keys/*/*/sign", "/secrets/**"),
            ("/keys/*/*/sign", "/keys/*/sign"),
            ("/keys/*/*/sign", "/keys/*/*/*/**"),
            ("/keys/*/sign", "/keys/*/verify"),
            ("/a", "/a/**"),
        ] {
            assert!(!overlap(one, two), "{one} {two}");
        }
    }
}
