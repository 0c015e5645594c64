//! Patterns of requests that may be sent: `GET /secrets/*`.

use std::borrow::Cow;
use std::fmt;

use http::Method;
use percent_encoding::{
    AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_decode_str, utf8_percent_encode,
};

use crate::path::{NormalPath, PathError, PathReading};

/// A method and a path. The method may be `*`. In the path, `*` matches one or more characters
/// within a segment, and `**` as the last segment matches all that follows, which is at least one
/// segment that is not empty.
///
/// The path is without the endpoint's prefix and without a query: the path that callers write after
/// the mount's name. It is compared with the path of a request segment by segment, both decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    /// `None` for any.
    method: Option<Method>,
    segments: Vec<Glob>,
    any_depth: bool,
    /// A part of it that only some services have in paths, as the error that others have for it.
    special: Option<PathError>,
}

/// A segment of a pattern, decoded. `None` matches any bytes, at least one.
type Glob = Vec<Option<u8>>;

/// A string that is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidPattern {
    reason: String,
    /// A valid pattern, similar to the invalid one.
    pub example: String,
}

/// `CONNECT` is for databases: `CONNECT /shop` opens the database `shop`.
const METHODS: [&str; 8] = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "CONNECT"];

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    ///
    /// The string is not a pattern. The error has an example of one.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let invalid =
            |reason: &str, example: String| InvalidPattern { reason: reason.to_owned(), example };
        let (method, path) = match text.split_once(' ') {
            Some(parts) => parts,
            None if text.starts_with('/') => {
                return Err(invalid("it has no method", format!("GET {text}")));
            }
            None => {
                return Err(invalid(
                    "it has no path",
                    format!("{} /path/*", text.to_ascii_uppercase()),
                ));
            }
        };
        let is_method = method == "*" || METHODS.contains(&method);
        if !is_method {
            let upper = method.to_ascii_uppercase();
            let example = if METHODS.contains(&upper.as_str()) { upper } else { "GET".to_owned() };
            let reason =
                format!("`{method}` is not a method of patterns ({}, or *)", METHODS.join(", "));
            return Err(invalid(&reason, format!("{example} {path}")));
        }
        if let Some((path, _)) = path.split_once('?') {
            let reason = "it has a query, which patterns do not check";
            return Err(invalid(reason, format!("{method} {path}")));
        }
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
                let example = format!("{method} /{}", path.trim_matches('/').replace("//", "/"));
                let example = if error == PathError::NotAbsolute || error == PathError::EmptySegment
                {
                    example
                } else {
                    format!("{method} /path/*")
                };
                return Err(invalid(&format!("ambiguous path, {error}"), example));
            }
        };
        let mut segments: Vec<&str> = path.split('/').skip(1).collect();
        let any_depth = segments.last().is_some_and(|last| *last == "**");
        if any_depth {
            segments.pop();
        }
        if segments.iter().any(|segment| segment.contains("**")) {
            let reason = "it has ** before the last segment";
            return Err(invalid(reason, format!("{method} {}", path.replace("**", "*"))));
        }
        let method = match method {
            "*" => None,
            // All of METHODS are valid, so that this does not fail.
            name => Some(
                Method::from_bytes(name.as_bytes())
                    .map_err(|_| invalid("invalid method", String::new()))?,
            ),
        };
        let segments = segments.into_iter().map(decoded).collect();
        Ok(Self { text: text.to_owned(), method, segments, any_depth, special })
    }

    /// Whether the pattern can match requests with this method.
    pub(crate) fn has_method(&self, method: &Method) -> bool {
        self.method.as_ref().is_none_or(|own| own == method)
    }

    /// The method and path of a request that matches, with `name` in place of `*`.
    pub(crate) fn request_with(&self, name: &str) -> Option<(&Method, NormalPath)> {
        const PLAIN: AsciiSet =
            NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
        let (_, path) = self.text.split_once(' ')?;
        let name = utf8_percent_encode(name, &PLAIN).to_string();
        Some((self.method.as_ref()?, NormalPath::parse(&path.replacen('*', &name, 1)).ok()?))
    }

    /// Whether a request matches in all readings of its path.
    #[must_use]
    pub fn matches(&self, method: &Method, path: &NormalPath, ignore_case: bool) -> bool {
        path.readings().all(|reading| self.matches_reading(method, reading, ignore_case))
    }

    /// Whether a request matches in one reading of its path.
    #[must_use]
    pub fn matches_reading(&self, method: &Method, reading: &str, ignore_case: bool) -> bool {
        if self.method.as_ref().is_some_and(|expected| expected != method) {
            return false;
        }
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

    /// Whether the segment of this index has no `*`.
    pub(super) fn has_literal(&self, segment: usize) -> bool {
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

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Purpose;

    fn matches(pattern: &str, method: Method, path: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(&method, &NormalPath::parse(path).unwrap(), false)
    }

    #[test]
    fn a_star_matches_within_one_segment() {
        assert!(matches("GET /secrets/*", Method::GET, "/secrets/db"));
        assert!(matches("GET /secrets/*", Method::GET, "/%73ecrets/db"));
        for (method, path) in [
            (Method::PUT, "/secrets/db"),
            (Method::HEAD, "/secrets/db"),
            (Method::GET, "/secrets"),
            (Method::GET, "/secrets/"),
            (Method::GET, "/secrets/db/"),
            (Method::GET, "/secrets/db/version"),
            (Method::GET, "/secretss/db"),
            (Method::GET, "/Secrets/db"),
        ] {
            assert!(!matches("GET /secrets/*", method.clone(), path), "{method} {path}");
        }
        assert!(matches("* /c/log-*-x*.txt", Method::PUT, "/c/log-1-2-x9.txt"));
        assert!(!matches("* /c/log-*-x*.txt", Method::PUT, "/c/log--x.txt"));
    }

    #[test]
    fn two_stars_match_all_segments_that_follow() {
        assert!(matches("GET /secrets/**", Method::GET, "/secrets/db"));
        assert!(matches("GET /secrets/**", Method::GET, "/secrets/db/version"));
        assert!(!matches("GET /secrets/**", Method::GET, "/secrets"));
        assert!(!matches("GET /secrets/**", Method::GET, "/secrets/"));
        assert!(matches("GET /**", Method::GET, "/x"));
        assert!(matches("GET /", Method::GET, "/"));
        assert!(!matches("GET /", Method::GET, "/x"));
    }

    #[test]
    fn pattern_and_path_are_compared_decoded() {
        for (pattern, path) in [
            ("GET /a%20b/*", "/a%20b/c"),
            ("GET /a+b", "/a%2Bb"),
            ("GET /a%2Bb", "/a+b"),
            ("GET /a%2Ab", "/a*b"),
            ("GET /\u{e4}", "/%c3%a4"),
            ("GET /*\u{e4}", "/b%C3%A4"),
        ] {
            assert!(matches(pattern, Method::GET, path), "{pattern} {path}");
        }
        for (pattern, path) in
            [("GET /*0", "/a%20"), ("GET /a%2Ab", "/axb"), ("GET /a%2A", "/a%25"), ("GET /*", "/")]
        {
            assert!(!matches(pattern, Method::GET, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_name_is_covered_in_all_its_readings() {
        let blob = PathReading::Names { after: 1 };
        let matches = |pattern: &str, path: &str| {
            let path = blob.read(path, "", Purpose::Compare).unwrap().unwrap();
            Pattern::parse(pattern).unwrap().matches(&Method::GET, &path, false)
        };
        for (pattern, path) in [
            ("GET /c/**", "/c/a//b"),
            ("GET /c/**", "/c//lead"),
            ("GET /c/**", "/c/a%252Fb"),
            ("GET /c/*/b", "/c/a%2Fb"),
            ("GET /c/back/*", "/c/back%5Cslash"),
            ("GET /c/a;b", "/c/a%3Bb"),
            ("GET /c/*.txt", "/c/a.b.txt"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("GET /c/*", "/c/a%2Fb"),
            ("GET /c/*", "/c/a%252Fb"),
            ("GET /c/*", "/c/back%5Cslash"),
            ("GET /c/*/*", "/c/a//b"),
            ("GET /c/**", "/c//"),
            ("GET /c/**", "/c///"),
            ("GET /c/public./**", "/c/public./a"),
            ("GET /c/*", "/c/a/"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_with_special_characters_matches_only_at_services_that_have_them() {
        let (names, keys) = (PathReading::Names { after: 1 }, PathReading::Keys { after: 1 });
        let unmatchable =
            |pattern: &str, reading| Pattern::parse(pattern).unwrap().unmatchable_by(reading);
        assert_eq!(unmatchable("GET /c/a;b", PathReading::Segments), Some(PathError::Semicolon));
        assert_eq!(unmatchable("GET /c/a;b", names), None);
        assert_eq!(unmatchable("GET /kv/app%2Fk1;x", names), Some(PathError::EncodedSlash));
        assert_eq!(unmatchable("GET /kv/app%2Fk1", keys), None);
        assert_eq!(unmatchable("GET /kv/*", PathReading::Segments), None);
        for broken in
            ["GET /c/a;b//c", "GET /c/a%252Fb", "GET /c/a%2Fb/..", "GET /c/a\\b", "GET /c/a%;"]
        {
            assert!(Pattern::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn case_is_ignored_only_if_the_service_ignores_it() {
        let pattern = Pattern::parse("GET /subscriptions/*/resourceGroups/*").unwrap();
        let path = NormalPath::parse("/subscriptions/0/resourcegroups/g").unwrap();
        assert!(pattern.matches(&Method::GET, &path, true));
        assert!(!pattern.matches(&Method::GET, &path, false));
    }

    #[test]
    fn an_error_has_an_example_of_a_valid_pattern() {
        let example = |text| Pattern::parse(text).unwrap_err().example;
        assert_eq!(example("/secrets/*"), "GET /secrets/*");
        assert_eq!(example("get /secrets/*"), "GET /secrets/*");
        assert_eq!(example("FETCH /secrets/*"), "GET /secrets/*");
        assert_eq!(example("GET"), "GET /path/*");
        assert_eq!(example("GET secrets/*"), "GET /secrets/*");
        assert_eq!(example("GET /secrets/*?api-version=7.4"), "GET /secrets/*");
        assert_eq!(example("GET /a/**/b"), "GET /a/*/b");
        assert_eq!(example("GET /a//b"), "GET /a/b");
        assert_eq!(example("GET /a/../b"), "GET /path/*");
    }
}
