//! Properties of every path, for tests and the fuzz target in `fuzz`. Their code is independent of
//! the code that they check.

use std::collections::BTreeSet;

use percent_encoding::percent_decode;

use super::reading::Purpose;
use super::{NormalPath, PathError, PathReading};

/// The readings with names that are checked.
const NAMES: [PathReading; 3] = [
    PathReading::Names { after: 1 },
    PathReading::Files { after: 1 },
    PathReading::Keys { after: 1 },
];

/// Checks the properties of a path in each [`PathReading`].
///
/// # Panics
///
/// A path that is accepted has a reading that is not checked.
pub(crate) fn check(path: &str) {
    check_segments(path);
    for reading in NAMES {
        check_compared(reading, path);
        check_forwarded(reading, path);
    }
    for reading in NAMES.into_iter().chain([PathReading::Segments, PathReading::Names { after: 0 }])
    {
        check_prefixed(reading, path);
    }
}

/// Checks that a path below a prefix is read as the path alone.
fn check_prefixed(reading: PathReading, path: &str) {
    if !path.starts_with('/') {
        return;
    }
    for purpose in [Purpose::Forward, Purpose::Compare, Purpose::CompareUnchanged] {
        let read = |path: &str, prefix| {
            let read = reading.read(path, prefix, purpose)?;
            // Two readings may differ only in the prefix.
            let readings = |path: NormalPath| path.readings().map(str::to_owned).collect();
            Ok(read.map(|path| (path.to_string(), readings(path))))
        };
        let alone: Result<Option<(String, BTreeSet<String>)>, PathError> = read(path, "");
        assert_eq!(
            read(&format!("/tenant{path}"), "/tenant"),
            alone,
            "{path:?} below a prefix ({reading:?}, {purpose:?})"
        );
    }
}

fn check_segments(path: &str) {
    let Ok(normal) = NormalPath::parse(path) else { return };
    assert_eq!(
        NormalPath::parse(normal.as_str()).as_ref(),
        Ok(&normal),
        "the normal form is normal"
    );
    let segments = normal.as_str().split('/').count();
    let mut text = normal.as_str().as_bytes().to_vec();
    loop {
        assert_eq!(
            text.split(|byte| *byte == b'/').count(),
            segments,
            "{path:?} has other segments when decoded"
        );
        assert!(
            !text.iter().any(|byte| byte.is_ascii_control() || matches!(byte, b'\\' | b';')),
            "{path:?}"
        );
        for segment in text.split(|byte| *byte == b'/').skip(1) {
            assert!(!is_dots(segment), "{path:?} has a dot segment when decoded");
        }
        match decoded(&text) {
            Some(decoded) => text = decoded,
            None => return,
        }
    }
}

/// Checks that every reading that a service may have of a path was compared with patterns.
fn check_compared(reading: PathReading, path: &str) {
    let Ok(Some(read)) = reading.read(path, "", Purpose::Compare) else { return };
    let again = reading.read(read.as_str(), "", Purpose::Compare);
    assert_eq!(again, Ok(Some(read.clone())), "{path:?}: the path that was compared is sent");
    let Some((head, name)) = name_of(read.as_str()) else { return };
    let compared: BTreeSet<Vec<Vec<u8>>> = read
        .readings()
        .map(|reading| {
            reading
                .split('/')
                .skip(1)
                .map(|segment| percent_decode(segment.as_bytes()).collect())
                .collect()
        })
        .collect();
    let head: Vec<u8> = percent_decode(head.as_bytes()).collect();
    let (is_key, is_file) =
        (matches!(reading, PathReading::Keys { .. }), matches!(reading, PathReading::Files { .. }));
    for mut segments in segmentations(name, is_key) {
        if is_file {
            let last = segments.pop();
            segments.retain(|segment| !segment.is_empty());
            segments.extend(last);
        }
        assert!(
            !segments.iter().any(|segment| is_dots(segment)),
            "{path:?} has a dot segment: {segments:?}"
        );
        for variant in variants(&segments) {
            let whole: Vec<Vec<u8>> = std::iter::once(head.clone()).chain(variant).collect();
            assert!(
                compared.contains(&whole),
                "{path:?} is sent as {read}: {whole:?} is not among {compared:?}"
            );
        }
    }
}

/// Checks that a path that is not compared does not leave the segment before its name.
fn check_forwarded(reading: PathReading, path: &str) {
    let Ok(Some(read)) = reading.read(path, "", Purpose::Forward) else { return };
    let again = reading.read(read.as_str(), "", Purpose::Forward);
    assert_eq!(again, Ok(Some(read.clone())), "{path:?}: the path that was checked is sent");
    let Some((_, name)) = name_of(read.as_str()) else { return };
    assert!(path.ends_with(name), "{path:?} is not sent as it was written, but as {read}");
    let mut text = name.as_bytes().to_vec();
    loop {
        for separators in [b"/".as_slice(), b"/\\"] {
            let mut depth = 0_i32;
            for segment in text.split(|byte| separators.contains(byte)) {
                match segment {
                    b".." => depth -= 1,
                    b"" | b"." => {}
                    _ => depth += 1,
                }
                assert!(
                    depth >= 0,
                    "{path:?} is sent as {read}, and leaves the segment before its name"
                );
            }
        }
        match decoded(&text) {
            Some(decoded) => text = decoded,
            None => return,
        }
    }
}

/// Splits a path into the one segment before the name, and the name.
fn name_of(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.split_once('/').filter(|(_, name)| !name.is_empty())
}

/// All segmentations of a name that a service may have, which decodes it once or more often.
fn segmentations(name: &str, is_key: bool) -> Vec<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    if is_key {
        let mut keys: Vec<Vec<u8>> =
            name.split('/').map(|key| percent_decode(key.as_bytes()).collect()).collect();
        loop {
            all.push(keys.clone());
            if keys.iter().all(|key| decoded(key).is_none()) {
                return all;
            }
            keys = keys.iter().map(|key| decoded(key).unwrap_or_else(|| key.clone())).collect();
        }
    }
    let mut text: Vec<u8> = percent_decode(name.as_bytes()).collect();
    loop {
        for separators in [b"/".as_slice(), b"/\\"] {
            all.push(text.split(|byte| separators.contains(byte)).map(<[u8]>::to_vec).collect());
        }
        match decoded(&text) {
            Some(decoded) => text = decoded,
            None => return all,
        }
    }
}

/// The readings of segments that a hierarchical namespace may have: without empty segments, without
/// dots at the ends of segments, or both.
fn variants(segments: &[Vec<u8>]) -> [Vec<Vec<u8>>; 4] {
    let trimmed: Vec<Vec<u8>> = segments
        .iter()
        .map(|segment| {
            let mut segment = segment.clone();
            while segment.pop_if(|last| *last == b'.').is_some() {}
            segment
        })
        .collect();
    let without_empty =
        |all: &[Vec<u8>]| all.iter().filter(|segment| !segment.is_empty()).cloned().collect();
    [segments.to_vec(), without_empty(segments), without_empty(&trimmed), trimmed]
}

fn is_dots(segment: &[u8]) -> bool {
    let name = segment.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    matches!(name, b"." | b"..")
}

fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let decoded: Vec<u8> = percent_decode(text).collect();
    (decoded != text).then_some(decoded)
}
