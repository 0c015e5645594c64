//! Patterns, compared with paths.

use std::collections::BTreeSet;

use http::Method;

use super::naive::{self, Segments};
use super::naive_request::{Lines, Request};
use crate::path::{NormalPath, PathReading, Purpose};
use crate::pattern::Pattern;

const READINGS: [PathReading; 5] = [
    PathReading::Segments,
    PathReading::Names { after: 0 },
    PathReading::Names { after: 1 },
    PathReading::Files { after: 1 },
    PathReading::Keys { after: 1 },
];

pub(super) fn check(input: &str) {
    let mut lines = input.split('\n');
    let text = lines.next().unwrap_or_default();
    let method = lines.next().and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    let (Some(method), Some(path)) = (method, lines.next()) else { return };
    let pattern = match Pattern::parse(text) {
        Ok(pattern) => pattern,
        Err(error) => {
            assert!(!error.to_string().is_empty() && !error.example.is_empty(), "{text:?}");
            return;
        }
    };
    assert_eq!(pattern.to_string(), text, "a pattern is shown as it was written");
    for reading in READINGS {
        for purpose in [Purpose::Compare, Purpose::CompareUnchanged] {
            let Ok(Some(read)) = reading.read(path, "", purpose) else { continue };
            check_match(&pattern, reading, &method, &read);
        }
    }
}

fn matches(pattern: &Pattern, method: &Method, path: &NormalPath, ignore_case: bool) -> bool {
    path.readings().all(|reading| pattern.matches_reading(method, reading, ignore_case))
}

fn check_match(pattern: &Pattern, reading: PathReading, method: &Method, path: &NormalPath) {
    let context = || format!("`{pattern}`, {method} {path} ({reading:?})");
    for ignore_case in [false, true] {
        let mut all = true;
        for one in path.readings() {
            let segments: Segments = naive::split(one.as_bytes(), false)
                .iter()
                .map(|part| naive::decode(part))
                .collect();
            let request = Request { method: method.as_str(), query: "", fields: BTreeSet::new() };
            let lines = Lines::new(None, vec![pattern.to_string()], ignore_case);
            let expected = lines.cover(&request, &[segments]);
            let found = pattern.matches_reading(method, one, ignore_case);
            assert_eq!(found, expected, "{}: {one:?}", context());
            all &= found;
        }
        let whole = matches(pattern, method, path, ignore_case);
        assert_eq!(whole, all, "{}", context());
        if whole {
            assert_eq!(pattern.unmatchable_by(reading), None, "{} matches", context());
            let insensitive = matches(pattern, method, path, true);
            assert!(insensitive, "{} matches also if case is ignored", context());
        }
        let again = reading.read(path.as_str(), "", Purpose::Compare);
        let again = again.ok().flatten().map(|path| matches(pattern, method, &path, ignore_case));
        assert!(again.unwrap_or(false) || !whole, "{}: its normal form", context());
    }
    check_covering(reading, path);
}

/// Checks that the pattern which a denial suggests is valid, and covers the path. If the path has
/// one reading, and no backslash, the pattern covers no other path.
fn check_covering(reading: PathReading, path: &NormalPath) {
    let text = format!("GET {}", path.covering_pattern());
    let Ok(pattern) = Pattern::parse(&text) else {
        unreachable!("{path} is read, but `{text}`, which would allow it, is invalid");
    };
    assert_eq!(pattern.unmatchable_by(reading), None, "`{text}`, which would allow {path}");
    let is_empty = |reading: &str| reading.split('/').all(str::is_empty);
    if !path.readings().any(is_empty) {
        assert!(matches(&pattern, &Method::GET, path, false), "`{text}` does not allow {path}");
    }
    if path.readings().count() == 1 && !path.as_str().contains("%5C") {
        assert!(!text.contains('*'), "`{text}` allows more than {path}");
    }
}
