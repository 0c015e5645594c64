//! Whether `allow` covers what is sent, and what is denied, as `allow` reads to simple services.

use std::collections::BTreeSet;
use std::fmt::Debug;

use http::{HeaderName, HeaderValue, Request};

use super::naive::{self, Segments};
use super::naive_request::{self, Lines};
use crate::authorize::DeniedRequest;
use crate::grant::{Grant, NotCovered};
use crate::path::PathReading;
use crate::pattern::Pattern;

/// A path to which a request, or another request in its place, must be covered.
struct Reference<'r> {
    request: naive_request::Request<'r>,
    /// The whole path, with the endpoint's prefix.
    path: Vec<u8>,
}

/// The parts of a request that lines look at.
fn head<'r>(request: &'r Request<()>, query: Option<&'r str>) -> naive_request::Request<'r> {
    naive_request::Request {
        method: request.method().as_str(),
        query: query.unwrap_or_default(),
        fields: request.headers().keys().map(HeaderName::as_str).collect(),
    }
}

/// The service of the table whose operations the lines of a grant may name.
fn service_of<'s>(grant: &Grant, service: &'s str) -> Option<&'s str> {
    match (&*grant.name, service) {
        ("second", _) => Some("arm"),
        (_, "own") => None,
        (_, "managedhsm") => Some("vault"),
        (_, service) => Some(service),
    }
}

fn lines(grant: &Grant, patterns: &[Pattern], service: &str) -> Lines {
    let texts = patterns.iter().map(ToString::to_string).collect();
    Lines::new(service_of(grant, service), texts, grant.paths_ignore_case)
}

/// Checks that the lines of a grant cover what is sent, and the paths that it refers to. `query` is
/// that of the request that is sent.
pub(super) fn check_sent(
    service: &str,
    grant: &Grant,
    request: &Request<()>,
    path: &str,
    query: Option<&str>,
) {
    let own = head(request, query);
    let for_caller = grant.for_caller.as_ref().map(|caller| &caller.allowed);
    let lists = [grant.declared.as_ref(), grant.allowed.as_ref(), for_caller];
    for patterns in lists.into_iter().flatten() {
        let lines = lines(grant, patterns, service);
        let mut sent = vec![Reference { request: own.clone(), path: path.as_bytes().to_vec() }];
        sent.extend(references(grant, service_of(grant, service), request, &own));
        for Reference { request, path } in sent {
            let paths = paths(grant, &path);
            assert!(
                lines.cover(&request, &paths),
                "{} {} is sent to {}, and read as {:?}, which is not among {patterns:?}",
                request.method,
                String::from_utf8_lossy(&path),
                grant.endpoint,
                paths.iter().map(shown).collect::<Vec<_>>()
            );
        }
    }
}

fn shown(path: &Segments) -> Vec<String> {
    path.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

/// The paths that a request has beside its own.
fn references<'r>(
    grant: &Grant,
    service: Option<&str>,
    request: &'r Request<()>,
    own: &naive_request::Request<'r>,
) -> Vec<Reference<'r>> {
    let get = naive_request::Request { method: "GET", query: "", fields: BTreeSet::new() };
    let in_field = |name: &'static str, of: &naive_request::Request<'r>| -> Vec<Reference<'r>> {
        let values = request.headers().get_all(name).into_iter();
        let path = |value: &HeaderValue| {
            assert!(is_at(&grant.endpoint.authority(), value.as_bytes()), "{value:?} is elsewhere");
            path_of_url(value.as_bytes())
        };
        values.map(|value| Reference { request: of.clone(), path: path(value) }).collect()
    };
    match service {
        Some("blob") => {
            let mut all = in_field("x-ms-copy-source", &get);
            all.extend(in_field("x-ms-rename-source", own));
            all
        }
        Some("dfs") => in_field("x-ms-rename-source", own),
        Some("datalake") => {
            let moves_in_body = |value: &Vec<u8>| value.eq_ignore_ascii_case(b"MSCONCAT");
            assert!(!values(own.query, "op").iter().any(moves_in_body), "its body has paths");
            let mut paths = values(own.query, "destination");
            for list in values(own.query, "sources") {
                paths.extend(list.split(|byte| *byte == b',').map(<[u8]>::to_vec));
            }
            let path = |path: Vec<u8>| {
                let encoded = path.iter().flat_map(|byte| match byte {
                    b'%' => b"%25".to_vec(),
                    byte => vec![*byte],
                });
                b"/webhdfs/v1".iter().copied().chain(encoded).collect()
            };
            paths
                .into_iter()
                .map(|text| Reference { request: own.clone(), path: path(text) })
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a URL, which may be without a scheme and a host, is at an authority, whose port may be
/// written although it is the default.
fn is_at(authority: &str, url: &[u8]) -> bool {
    if url.starts_with(b"/") {
        return true;
    }
    let Some((scheme, rest)) = url.split_at_checked(8) else { return false };
    let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    let own = rest.get(..end).unwrap_or_default();
    let is_own = own == authority.as_bytes() || own == format!("{authority}:443").as_bytes();
    scheme.eq_ignore_ascii_case(b"https://") && is_own
}

/// The path of a URL, which may be without a scheme and a host.
fn path_of_url(url: &[u8]) -> Vec<u8> {
    let end = url.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(url.len());
    let url = url.get(..end).unwrap_or_default();
    let Some(rest) = url.first().filter(|first| **first != b'/').map(|_| url.get(8..)) else {
        return url.to_vec();
    };
    let rest = rest.unwrap_or_default();
    let path = rest.iter().position(|byte| *byte == b'/').and_then(|slash| rest.get(slash..));
    path.unwrap_or(b"/").to_vec()
}

/// The values of a parameter, whatever the case of its name is. A plus may be a space.
fn values(query: &str, name: &str) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    for pair in query.split('&') {
        let (own, value) = pair.split_once('=').unwrap_or((pair, ""));
        if naive::decode(own.as_bytes()).eq_ignore_ascii_case(name.as_bytes()) {
            values.push(naive::decode(value.as_bytes()));
            values.push(naive::decode(value.replace('+', " ").as_bytes()));
        }
    }
    values
}

/// The segments behind the prefix of an endpoint, in all ways in which simple services read a path.
fn paths(grant: &Grant, path: &[u8]) -> Vec<Segments> {
    let shown = || String::from_utf8_lossy(path);
    let decoded_segments = |decode: fn(&[u8]) -> Vec<u8>| -> Segments {
        naive::split(path, false).iter().map(|segment| decode(segment)).collect()
    };
    let mut readings = vec![decoded_segments(naive::decode)];
    match grant.paths {
        PathReading::Segments => {
            readings.push(naive::split(&naive::decode(path), true));
            let fully = naive::split(&naive::decode_fully(path), true);
            assert!(!naive::has_dot_segment(&fully), "{} has a dot segment", shown());
            let segments = readings.first().map(Vec::len);
            assert_eq!(Some(fully.len()), segments, "{}: its segments", shown());
        }
        PathReading::Names { .. } | PathReading::Files { .. } => {
            readings.push(naive::split(&naive::decode(path), false));
            for backslashes in [false, true] {
                readings.push(naive::split(&naive::decode_fully(path), backslashes));
            }
            if matches!(grant.paths, PathReading::Files { .. }) {
                readings.iter_mut().for_each(without_empty_segments);
            }
        }
        PathReading::Keys { .. } => readings.push(decoded_segments(naive::decode_fully)),
    }
    let prefix = naive::split(grant.endpoint.prefix.as_bytes(), false);
    let prefix: Segments = prefix.iter().map(|segment| naive::decode(segment)).collect();
    let behind_prefix = |segments: Segments| {
        assert!(!naive::has_dot_segment(&segments), "{} has a dot segment", shown());
        let Some(rest) = segments.strip_prefix(prefix.as_slice()) else {
            unreachable!("{} is outside the prefix of {}", shown(), grant.endpoint);
        };
        if rest.is_empty() { vec![Vec::new()] } else { rest.to_vec() }
    };
    readings.into_iter().map(behind_prefix).collect()
}

/// Several slashes in the path of a file are one.
fn without_empty_segments(segments: &mut Segments) {
    let last = segments.pop();
    segments.retain(|segment| !segment.is_empty());
    segments.extend(last);
}

/// Checks that the lines of a grant do not cover a request that is denied because of them. This is
/// only known of paths and queries that everybody reads in one way.
pub(super) fn check_denied(
    service: &str,
    grants: &[Grant],
    request: &Request<()>,
    denied: &DeniedRequest<NotCovered>,
) {
    let Some(grant) = grants.iter().find(|grant| is_for(grant, denied.audience.as_deref())) else {
        unreachable!("there is no grant for {:?}", denied.audience);
    };
    let patterns = match denied.reason {
        NotCovered::NotAllowed => grant.allowed.as_ref(),
        NotCovered::NotAllowedForCaller(_) => {
            grant.for_caller.as_ref().map(|caller| &caller.allowed)
        }
        NotCovered::NotDeclared => grant.declared.as_ref(),
        NotCovered::AmbiguousParameter(_) => unreachable!("it is a violation"),
    };
    let Some(patterns) = patterns else {
        unreachable!("{denied:?} is because of patterns");
    };
    let (path, query) = (denied.path.as_str(), request.uri().query().unwrap_or_default());
    let refers = ["x-ms-copy-source", "x-ms-rename-source"];
    let refers = refers.into_iter().any(|name| request.headers().contains_key(name))
        || ["destination", "sources"].iter().any(|name| !values(query, name).is_empty());
    if refers || !is_plain_path(path) || !is_plain_query(query) {
        return;
    }
    let covered = lines(grant, patterns, service)
        .cover(&head(request, Some(query)), &[naive::split(path.as_bytes(), false)]);
    assert!(!covered, "{} {path}?{query} is {denied:?} by {patterns:?}", request.method());
}

/// Whether a grant is for an audience; `None` is the plugin's first.
fn is_for(grant: &Grant, audience: Option<&str>) -> bool {
    audience.map_or(grant.is_first, |audience| &*grant.name == audience)
}

fn is_plain_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_');
    path.bytes().all(plain) && !path.contains("//")
}

fn is_plain_query(query: &str) -> bool {
    let plain = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        !text.is_empty() && text.bytes().all(plain)
    };
    let mut names = BTreeSet::new();
    query.is_empty()
        || query.split('&').all(|pair| {
            pair.split_once('=').is_some_and(|(name, value)| {
                plain(name) && plain(value) && names.insert(name.to_ascii_lowercase())
            })
        })
}

/// Checks that the line which a denial suggests allows the request: with it, `authorize` does not
/// deny it for the same reason.
pub(super) fn check_line<R: Clone + Debug + PartialEq>(
    grants: &[Grant],
    denied: &DeniedRequest<R>,
    line: &str,
    authorize: impl Fn(&[Grant]) -> Option<DeniedRequest<R>>,
) {
    let Ok(pattern) = Pattern::parse(line) else {
        unreachable!("{denied:?} suggests `{line}`, which is invalid");
    };
    let is_empty = |reading: &str| reading.split('/').all(str::is_empty);
    if denied.path.readings().any(is_empty) {
        return;
    }
    let mut grants = grants.to_vec();
    let own = grants.iter_mut().find(|grant| is_for(grant, denied.audience.as_deref()));
    let Some(own) = own else { return };
    if own.allowed.is_some() || own.for_caller.is_some() {
        let for_caller = own.for_caller.as_mut().map(|caller| &mut caller.allowed);
        for allowed in own.allowed.as_mut().into_iter().chain(for_caller) {
            allowed.push(pattern.clone());
        }
        let again = authorize(&grants);
        assert_ne!(again.as_ref(), Some(denied), "`{line}` does not allow it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_path() {
        for (url, path) in [
            ("https://host/c/a?x=/y", "/c/a"),
            ("https://host", "/"),
            ("/c/a#x", "/c/a"),
            ("/c/a", "/c/a"),
        ] {
            assert_eq!(path_of_url(url.as_bytes()), path.as_bytes(), "{url}");
        }
    }

    #[test]
    fn a_url_is_at_an_authority_by_https() {
        for url in ["https://host/c/a", "HTTPS://host:443?x", "/c/a"] {
            assert!(is_at("host", url.as_bytes()), "{url}");
        }
        for url in ["http://host/c", "https://host.evil/c", "https://host:80/", "host", ""] {
            assert!(!is_at("host", url.as_bytes()), "{url}");
        }
    }

    #[test]
    fn a_plain_query_has_each_parameter_once() {
        assert!(is_plain_query("") && is_plain_query("a=1&b=x/y"));
        for query in ["a", "a=", "=1", "a=1&A=2", "a=1&&b=2", "a=%31", "a=1;b=2"] {
            assert!(!is_plain_query(query), "{query}");
        }
    }
}
