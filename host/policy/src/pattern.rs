//! Patterns of permitted requests: `GET /secrets/*`, `read /secrets/*`.

use std::fmt;

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::cloud::NamedOperations;
use crate::path::{NormalPath, PathError, PathReading};
use crate::path_pattern::PathPattern;
use crate::request_head::{AmbiguousParameter, RequestHead};

/// A method or an operation, and a path. In the path, `*` matches any characters within one segment,
/// and `**` as the last segment matches all segments that follow, of which one at least is not
/// empty.
///
/// The path is the one that callers write after the mount's name, without the endpoint's prefix. It
/// is compared with the path of a request segment by segment, both decoded.
///
/// - `GET /path`: requests with this method, whatever their query is; `*` is any method.
/// - `PUT /path?op=CREATE`: those of them with this parameter. It must be there once, written in
///   this case and without encodings.
/// - `read /path`: the requests of an operation of the service. See [`NamedOperations`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    verb: Verb,
    path: PathPattern,
    /// Parameters with the values that they must have.
    conditions: Vec<(String, String)>,
}

/// What a pattern begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verb {
    AnyMethod,
    Method(Method),
    Operation(String),
}

/// Why a string is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidPattern {
    reason: String,
    /// A valid pattern, similar where possible.
    pub example: String,
}

/// `CONNECT` is for databases: `CONNECT /shop` opens the database `shop`.
const METHODS: [&str; 8] = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "CONNECT"];

/// Operations that are called like a method. All other methods in lower case are mistakes.
const OPERATIONS_LIKE_METHODS: [&str; 2] = ["delete", "connect"];

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    ///
    /// The string is not a pattern. The error has an example of one.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let invalid =
            |reason: &str, example: String| InvalidPattern { reason: reason.to_owned(), example };
        let (verb, rest) = match text.split_once(' ') {
            Some(parts) => parts,
            None if text.starts_with('/') => {
                return Err(invalid("it has no method", format!("GET {text}")));
            }
            None => {
                let verb = if METHODS.contains(&text.to_ascii_uppercase().as_str()) {
                    text.to_ascii_uppercase()
                } else {
                    text.to_owned()
                };
                return Err(invalid("it has no path", format!("{verb} /path/*")));
            }
        };
        let parsed_verb = parse_verb(verb).map_err(|InvalidPattern { reason, example }| {
            invalid(&reason, format!("{example} {rest}"))
        })?;
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let path = PathPattern::parse(path)
            .map_err(|error| invalid(&error.reason, format!("{verb} {}", error.example)))?;
        let conditions = match query {
            None => Vec::new(),
            Some(_) if matches!(parsed_verb, Verb::Operation(_)) => {
                let reason = "an operation has parameters of its own";
                return Err(invalid(reason, format!("{verb} {path}")));
            }
            Some(query) => conditions(query)
                .map_err(|reason| invalid(reason, format!("{verb} {path}?name=value")))?,
        };
        Ok(Self { text: text.to_owned(), verb: parsed_verb, path, conditions })
    }

    /// What a pattern for requests with a method begins with: the method, or `*` if patterns do not
    /// have it.
    #[must_use]
    pub fn verb_for(method: &Method) -> &str {
        let method = method.as_str();
        if METHODS.contains(&method) { method } else { "*" }
    }

    /// The operation that the pattern begins with; `None` if it begins with a method.
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        match &self.verb {
            Verb::Operation(name) => Some(name),
            Verb::AnyMethod | Verb::Method(_) => None,
        }
    }

    /// Whether the pattern begins with a method that it can match requests with.
    pub(crate) fn has_method(&self, method: &Method) -> bool {
        match &self.verb {
            Verb::AnyMethod => true,
            Verb::Method(own) => own == method,
            Verb::Operation(_) => false,
        }
    }

    /// The method that the pattern begins with, if its requests have no further condition. `None`
    /// inside is any method.
    pub(crate) fn unconditional_method(&self) -> Option<Option<&str>> {
        match &self.verb {
            Verb::AnyMethod if self.conditions.is_empty() => Some(None),
            Verb::Method(method) if self.conditions.is_empty() => Some(Some(method.as_str())),
            Verb::AnyMethod | Verb::Method(_) | Verb::Operation(_) => None,
        }
    }

    /// What a pattern with a method covers, in a few words.
    pub(crate) fn describe_method(&self) -> String {
        let method = match &self.verb {
            Verb::Method(method) => method.as_str(),
            Verb::AnyMethod | Verb::Operation(_) => "any method",
        };
        if self.conditions.is_empty() {
            return format!("{method}, whatever its parameters and header fields are");
        }
        let conditions: Vec<String> =
            self.conditions.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{method} with {}, whatever its other parameters are", conditions.join(" and "))
    }

    /// The pattern's path.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.as_str()
    }

    pub(crate) fn path_pattern(&self) -> &PathPattern {
        &self.path
    }

    /// The method and path of a request that matches, with `name` in place of `*`.
    pub(crate) fn request_with(&self, name: &str) -> Option<(&Method, NormalPath)> {
        const PLAIN: AsciiSet =
            NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
        let Verb::Method(method) = &self.verb else { return None };
        let name = utf8_percent_encode(name, &PLAIN).to_string();
        Some((method, NormalPath::parse(&self.path.as_str().replacen('*', &name, 1)).ok()?))
    }

    /// Whether a request without a query matches in one reading of its path. Patterns of operations
    /// match none.
    #[must_use]
    pub fn matches_reading(&self, method: &Method, reading: &str, ignore_case: bool) -> bool {
        let head = RequestHead::of_method(method);
        self.matches(&head, reading, ignore_case, &[]) == Ok(true)
    }

    /// Whether a request matches in one reading of its path. `operations` are those of the services
    /// that it is for.
    ///
    /// # Errors
    ///
    /// A parameter that the pattern checks can be read in more than one way.
    pub(crate) fn matches(
        &self,
        head: &RequestHead<'_>,
        reading: &str,
        ignore_case: bool,
        operations: &[&'static NamedOperations],
    ) -> Result<bool, AmbiguousParameter> {
        if !self.path.matches(reading, ignore_case) {
            return Ok(false);
        }
        match &self.verb {
            Verb::Method(method) if method != head.method => return Ok(false),
            Verb::AnyMethod | Verb::Method(_) => {}
            Verb::Operation(name) => {
                for operations in operations {
                    if operations.cover(name, head, reading, ignore_case)? {
                        return Ok(true);
                    }
                }
                return Ok(false);
            }
        }
        let mut matches = true;
        for (name, value) in &self.conditions {
            matches &= head.parameter(name)? == Some(value);
        }
        Ok(matches)
    }

    /// Whether some request may match both patterns. It may say so of patterns that none matches.
    pub(crate) fn may_overlap(
        &self,
        other: &Self,
        operations: &[&'static NamedOperations],
    ) -> bool {
        if !self.path.may_overlap(&other.path) {
            return false;
        }
        match (&self.verb, &other.verb) {
            (Verb::Operation(one), Verb::Operation(two)) => {
                one == two || operations.iter().any(|all| all.may_overlap(one, two))
            }
            (Verb::Operation(name), Verb::AnyMethod | Verb::Method(_)) => {
                other.may_match_operation(name, operations)
            }
            (Verb::AnyMethod | Verb::Method(_), Verb::Operation(name)) => {
                self.may_match_operation(name, operations)
            }
            (Verb::Method(one), Verb::Method(two)) if one != two => false,
            (Verb::AnyMethod | Verb::Method(_), Verb::AnyMethod | Verb::Method(_)) => {
                self.conditions.iter().all(|(name, value)| {
                    let other = other.conditions.iter().find(|(other, _)| other == name);
                    other.is_none_or(|(_, other)| other == value)
                })
            }
        }
    }

    /// Whether this pattern, which begins with a method, may match a request of an operation.
    fn may_match_operation(&self, name: &str, operations: &[&'static NamedOperations]) -> bool {
        let method = match &self.verb {
            Verb::Method(method) => Some(method.as_str()),
            Verb::AnyMethod | Verb::Operation(_) => None,
        };
        let all = operations.iter().flat_map(|operations| operations.iter());
        all.filter(|operation| operation.name == name).any(|operation| {
            operation.may_have(method)
                && operation.may_have_path_of(&self.path)
                && self
                    .conditions
                    .iter()
                    .all(|(name, value)| operation.may_have_parameter(name, value))
        })
    }

    /// Whether the segment of this index has no `*`.
    pub(super) fn has_literal(&self, segment: usize) -> bool {
        self.path.has_literal(segment)
    }

    /// Whether it is for databases only, which no caller's request opens.
    pub(crate) fn is_of_databases(&self) -> bool {
        matches!(&self.verb, Verb::Method(method) if *method == Method::CONNECT)
    }

    /// Why the pattern can never match a path that is read in this way; `None` if it can.
    pub(crate) fn unmatchable_by(&self, reading: PathReading) -> Option<PathError> {
        self.path.unmatchable_by(reading)
    }
}

fn parse_verb(verb: &str) -> Result<Verb, InvalidPattern> {
    let is_operation = |verb: &str| {
        verb.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') && !verb.is_empty()
    };
    if verb == "*" {
        return Ok(Verb::AnyMethod);
    }
    if let (true, Ok(method)) = (METHODS.contains(&verb), Method::from_bytes(verb.as_bytes())) {
        return Ok(Verb::Method(method));
    }
    let upper = verb.to_ascii_uppercase();
    let is_like_a_method = METHODS.contains(&upper.as_str());
    if is_operation(verb) && (!is_like_a_method || OPERATIONS_LIKE_METHODS.contains(&verb)) {
        return Ok(Verb::Operation(verb.to_owned()));
    }
    let reason = format!(
        "`{verb}` is neither a method of patterns ({}, or *) nor an operation, which is in lower \
         case",
        METHODS.join(", ")
    );
    let example = if is_like_a_method { upper } else { "GET".to_owned() };
    Err(InvalidPattern { reason, example })
}

/// The conditions behind the `?` of a pattern.
fn conditions(query: &str) -> Result<Vec<(String, String)>, &'static str> {
    let is_plain = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        !text.is_empty() && text.bytes().all(plain)
    };
    let mut conditions: Vec<(String, String)> = Vec::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').ok_or("a parameter of it has no value")?;
        if !is_plain(name) || !is_plain(value) {
            return Err("its parameters may have letters, digits, `-`, `.`, `_` and `~` only");
        }
        if conditions.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            return Err("a parameter of it is there twice");
        }
        conditions.push((name.to_owned(), value.to_owned()));
    }
    Ok(conditions)
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
        let (pattern, path) = (Pattern::parse(pattern).unwrap(), NormalPath::parse(path).unwrap());
        path.readings().all(|reading| pattern.matches_reading(&method, reading, false))
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
            let pattern = Pattern::parse(pattern).unwrap();
            path.readings().all(|reading| pattern.matches_reading(&Method::GET, reading, false))
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
        assert!(pattern.matches_reading(&Method::GET, path.as_str(), true));
        assert!(!pattern.matches_reading(&Method::GET, path.as_str(), false));
    }

    #[test]
    fn an_error_has_an_example_of_a_valid_pattern() {
        let example = |text| Pattern::parse(text).unwrap_err().example;
        assert_eq!(example("/secrets/*"), "GET /secrets/*");
        assert_eq!(example("get /secrets/*"), "GET /secrets/*");
        assert_eq!(example("FETCH /secrets/*"), "GET /secrets/*");
        assert_eq!(example("GET"), "GET /path/*");
        assert_eq!(example("GET secrets/*"), "GET /secrets/*");
        assert_eq!(example("GET /secrets/*?"), "GET /secrets/*?name=value");
        assert_eq!(example("GET /secrets/*?op"), "GET /secrets/*?name=value");
        assert_eq!(example("GET /secrets/*?op=a%20b"), "GET /secrets/*?name=value");
        assert_eq!(example("GET /secrets/*?op=a&OP=b"), "GET /secrets/*?name=value");
        assert_eq!(example("GET /secrets/*?op="), "GET /secrets/*?name=value");
        assert_eq!(example("GET /secrets/*?=a"), "GET /secrets/*?name=value");
        assert_eq!(example("GET /secrets/*?o%70=a"), "GET /secrets/*?name=value");
        assert_eq!(example(" /secrets/*"), "GET /secrets/*");
        assert_eq!(example("read /secrets/*?op=a"), "read /secrets/*");
        assert_eq!(example("read"), "read /path/*");
        assert_eq!(example("Read /secrets/*"), "GET /secrets/*");
        assert_eq!(example("read secrets/*"), "read /secrets/*");
        assert_eq!(example("GET /a/**/b"), "GET /a/*/b");
        assert_eq!(example("GET /a//b"), "GET /a/b");
        assert_eq!(example("GET /a/../b"), "GET /path/*");
    }

    /// Whether a request with a query matches a pattern, at a service of the public cloud.
    fn matches_at(service: &str, pattern: &str, request: &str) -> Result<bool, AmbiguousParameter> {
        let (method, uri) = request.split_once(' ').unwrap();
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let method: Method = method.parse().unwrap();
        let head = RequestHead { query: Some(query), ..RequestHead::of_method(&method) };
        let operations = [NamedOperations::of(service).unwrap()];
        Pattern::parse(pattern).unwrap().matches(&head, path, false, &operations)
    }

    #[test]
    fn an_operation_covers_its_requests_below_the_path() {
        let blob = |pattern: &str, request: &str| matches_at("blob", pattern, request);
        assert_eq!(blob("read /public/**", "GET /public/a.txt"), Ok(true));
        assert_eq!(blob("read /public/**", "HEAD /public/a.txt?comp=metadata"), Ok(true));
        assert_eq!(blob("read /public/**", "GET /secret/a.txt"), Ok(false));
        assert_eq!(blob("read /public/**", "PUT /public/a.txt"), Ok(false));
        assert_eq!(blob("read /public/**", "GET /public?restype=container&comp=list"), Ok(false));
        assert_eq!(blob("list /public", "GET /public?restype=container&comp=list"), Ok(true));
        assert_eq!(blob("delete /in/*", "DELETE /in/a"), Ok(true));
        assert_eq!(blob("reed /public/**", "GET /public/a.txt"), Ok(false));
        assert!(blob("list /public", "GET /public?restype=container&Comp=list").is_err());
        assert!(blob("list /public", "GET /public?restype=container&comp=list&comp=acl").is_err());
        assert_eq!(matches_at("vault", "read /public/**", "GET /public/a.txt"), Ok(false));
        assert_eq!(matches_at("sql", "connect /shop", "CONNECT /shop"), Ok(true));
        assert_eq!(matches_at("sql", "connect /shop", "CONNECT /other"), Ok(false));
    }

    #[test]
    fn a_method_with_parameters_covers_requests_that_have_them_once() {
        let lake =
            |request: &str| matches_at("datalake", "PUT /webhdfs/v1/in/**?op=CREATE", request);
        assert_eq!(lake("PUT /webhdfs/v1/in/a?op=CREATE&overwrite=true"), Ok(true));
        assert_eq!(lake("PUT /webhdfs/v1/in/a?overwrite=true&op=CREATE"), Ok(true));
        assert_eq!(lake("PUT /webhdfs/v1/in/a?op=SETOWNER"), Ok(false));
        assert_eq!(lake("PUT /webhdfs/v1/in/a"), Ok(false));
        assert_eq!(lake("POST /webhdfs/v1/in/a?op=CREATE"), Ok(false));
        assert_eq!(lake("PUT /webhdfs/v1/out/a?op=CREATE&op=CREATE"), Ok(false));
        for query in
            ["op=CREATE&op=SETOWNER", "op=CREATE&OP=SETOWNER", "%6fp=CREATE", "op=CRE%41TE"]
        {
            assert!(lake(&format!("PUT /webhdfs/v1/in/a?{query}")).is_err(), "{query}");
        }
    }

    #[test]
    fn a_pattern_of_one_method_has_no_other() {
        let has = |text: &str, method| Pattern::parse(text).unwrap().has_method(&method);
        assert!(has("GET /a", Method::GET) && has("* /a", Method::GET));
        assert!(!has("GET /a", Method::HEAD));
    }

    #[test]
    fn a_request_that_matches_has_a_name_in_place_of_a_star() {
        let pattern = Pattern::parse("CONNECT /*").unwrap();
        let (method, path) = pattern.request_with("a b\u{e4}").unwrap();
        assert_eq!((method, path.as_str()), (&Method::CONNECT, "/a%20b%C3%A4"));
        assert!(pattern.request_with("a/b").is_none());
        assert!(Pattern::parse("* /*").unwrap().request_with("a").is_none());
    }

    #[test]
    fn a_pattern_has_an_operation_or_a_method_and_a_path() {
        let pattern = |text: &str| Pattern::parse(text).unwrap();
        assert_eq!(pattern("set-tier /c/*").operation(), Some("set-tier"));
        assert_eq!(pattern("delete /c/*").operation(), Some("delete"));
        assert_eq!(pattern("DELETE /c/*").operation(), None);
        assert_eq!(pattern("* /c/*").operation(), None);
        assert_eq!(pattern("PUT /c/*?comp=tier").path(), "/c/*");
    }

    #[test]
    fn a_segment_is_literal_without_a_star() {
        let pattern = Pattern::parse("GET /a/b*/%2A").unwrap();
        let literal: Vec<bool> = (0..4).map(|segment| pattern.has_literal(segment)).collect();
        assert_eq!(literal, [true, false, true, false]);
    }

    #[test]
    fn stars_match_greedily_and_at_least_one_character_each() {
        for (pattern, path) in [
            ("GET /a*a", "/aaa"),
            ("GET /*a", "/aaa"),
            ("GET /a*b*c", "/aXbbXcc"),
            ("GET /*ab*ab", "/xababxab"),
            ("GET /*.*.*", "/a.b.c.d"),
        ] {
            assert!(matches(pattern, Method::GET, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("GET /a*a", "/aa"),
            ("GET /*a", "/a"),
            ("GET /a*b*c", "/abc"),
            ("GET /*ab*ab", "/xabab"),
            ("GET /*b", "/aba"),
            ("GET /*b", "/a"),
        ] {
            assert!(!matches(pattern, Method::GET, path), "{pattern} {path}");
        }
    }
}
