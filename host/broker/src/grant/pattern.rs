//! Patterns of what may be sent: `GET /secrets/*`.

use std::fmt;

use http::Method;

use super::NormalPath;

/// A method and a path. The method may be `*`. In the path, `*` stands for any characters within one segment, and `**` as
/// the last segment for all that follows, which is at least one segment.
///
/// The path is the one behind the endpoint, without a query: what callers write behind the mount's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    /// `None` for any.
    method: Option<Method>,
    segments: Vec<String>,
    any_depth: bool,
}

/// A text that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct InvalidPattern {
    why: String,
    /// What would be right, or near it.
    pub example: String,
}

/// `CONNECT` is for databases: `CONNECT /shop` opens the database `shop`.
const METHODS: [&str; 8] = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "CONNECT"];

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// Says what would have been right.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = |why: &str, example: String| InvalidPattern { why: why.to_owned(), example };
        let (method, path) = match text.split_once(' ') {
            Some(parts) => parts,
            None if text.starts_with('/') => {
                return Err(invalid("it has no method", format!("GET {text}")));
            }
            None => return Err(invalid("it has no path", format!("{} /path/*", text.to_ascii_uppercase()))),
        };
        let is_method = method == "*" || METHODS.contains(&method);
        if !is_method {
            let upper = method.to_ascii_uppercase();
            let example = if METHODS.contains(&upper.as_str()) { upper } else { "GET".to_owned() };
            let why = format!("`{method}` is no method that a pattern may have ({}, or *)", METHODS.join(", "));
            return Err(invalid(&why, format!("{example} {path}")));
        }
        if let Some((path, _)) = path.split_once('?') {
            let why = "it has a query, which patterns do not look at";
            return Err(invalid(why, format!("{method} {path}")));
        }
        let normal = match NormalPath::parse(path) {
            Ok(normal) => normal,
            Err(error) => {
                let example = format!("{method} /{}", path.trim_matches('/').replace("//", "/"));
                let example = if error == super::PathError::NotAbsolute || error == super::PathError::EmptySegment {
                    example
                } else {
                    format!("{method} /path/*")
                };
                return Err(invalid(&format!("its path can be read in more than one way, {error}"), example));
            }
        };
        let mut segments: Vec<String> = normal.segments().map(str::to_owned).collect();
        let any_depth = segments.last().is_some_and(|last| last == "**");
        if any_depth {
            segments.pop();
        }
        if segments.iter().any(|segment| segment.contains("**")) {
            let why = "it has ** elsewhere than as the last segment";
            return Err(invalid(why, format!("{method} {}", path.replace("**", "*"))));
        }
        let method = match method {
            "*" => None,
            // All of METHODS are methods.
            name => Some(Method::from_bytes(name.as_bytes()).map_err(|_| invalid("no method", String::new()))?),
        };
        Ok(Self { text: text.to_owned(), method, segments, any_depth })
    }

    /// Whether a request is one of these.
    #[must_use]
    pub fn matches(&self, method: &Method, path: &NormalPath, ignore_case: bool) -> bool {
        if self.method.as_ref().is_some_and(|expected| expected != method) {
            return false;
        }
        let mut segments = path.segments();
        for pattern in &self.segments {
            match segments.next() {
                Some(segment) if glob(pattern.as_bytes(), segment.as_bytes(), ignore_case) => {}
                _ => return false,
            }
        }
        let rest = segments.next();
        if self.any_depth { rest.is_some_and(|segment| !segment.is_empty()) } else { rest.is_none() }
    }

    /// Whether a segment of its path is written out, without a `*`.
    pub(super) fn has_literal(&self, segment: usize) -> bool {
        self.segments.get(segment).is_some_and(|segment| !segment.contains('*'))
    }
}

/// Whether a segment is one that the pattern stands for. `*` stands for any characters, at least one: `/secrets/*` is not
/// the list `/secrets/`.
fn glob(pattern: &[u8], segment: &[u8], ignore_case: bool) -> bool {
    let same = |a: &u8, b: &u8| if ignore_case { a.eq_ignore_ascii_case(b) } else { a == b };
    // After each star, the shortest match that goes on is enough: what is between stars is found greedily.
    let (mut p, mut s) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), segment.get(s)) {
            (Some(b'*'), Some(_)) => {
                retry = Some((p + 1, s + 1));
                (p, s) = (p + 1, s + 1);
            }
            (None, None) => return true,
            (Some(expected), Some(byte)) if same(expected, byte) => (p, s) = (p + 1, s + 1),
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

    fn matches(pattern: &str, method: Method, path: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(&method, &NormalPath::parse(path).unwrap(), false)
    }

    #[test]
    fn a_star_is_within_one_segment() {
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
    fn two_stars_are_all_that_follows() {
        assert!(matches("GET /secrets/**", Method::GET, "/secrets/db"));
        assert!(matches("GET /secrets/**", Method::GET, "/secrets/db/version"));
        assert!(!matches("GET /secrets/**", Method::GET, "/secrets"));
        assert!(!matches("GET /secrets/**", Method::GET, "/secrets/"));
        assert!(matches("GET /**", Method::GET, "/x"));
        assert!(matches("GET /", Method::GET, "/"));
        assert!(!matches("GET /", Method::GET, "/x"));
    }

    #[test]
    fn case_is_ignored_only_where_the_service_does() {
        let pattern = Pattern::parse("GET /subscriptions/*/resourceGroups/*").unwrap();
        let path = NormalPath::parse("/subscriptions/0/resourcegroups/g").unwrap();
        assert!(pattern.matches(&Method::GET, &path, true));
        assert!(!pattern.matches(&Method::GET, &path, false));
    }

    #[test]
    fn an_error_shows_what_would_have_been_right() {
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
