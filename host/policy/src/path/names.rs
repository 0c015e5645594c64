//! Paths that end in a name which only the service interprets, such as a blob's.
//!
//! Without patterns such a path is sent unchanged; it must not leave the segments before the name.
//! With patterns it is decoded once, as the service does, and compared, and the path that was
//! compared is encoded again and sent. Other ways to read the name (decoded again, without empty
//! segments, or without dots at the end of segments, as accounts with a hierarchical namespace do)
//! are further readings, which patterns must cover too.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::decoding::{ROUNDS, decode, decode_strictly, is_dots, is_overlong};
use super::reading::Purpose;
use super::{NormalPath, PathError, PathReading};

/// The characters that are not encoded in a name that was compared with patterns.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name's segments, decoded.
type Segments = Vec<Vec<u8>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Names,
    Files,
    Keys,
}

impl Kind {
    /// The segments of a decoded name. A file's are not empty, but for the last.
    fn segments(self, name: &[u8], separators: &[u8]) -> Segments {
        let mut segments = segments(name, separators);
        if self == Self::Files {
            let last = segments.pop();
            segments.retain(|segment| !segment.is_empty());
            segments.extend(last);
        }
        segments
    }

    /// The segments in both readings of a backslash: as a part of a segment, and as a separator.
    fn views(self, name: &[u8]) -> Vec<Segments> {
        vec![self.segments(name, b"/"), self.segments(name, b"/\\")]
    }
}

impl PathReading {
    /// Reads a path, and returns it without `prefix`, which is whole segments; `None` if the path
    /// does not begin with the prefix.
    ///
    /// # Errors
    ///
    /// The path is ambiguous, or leaves the segments before its name.
    pub fn read(
        self,
        path: &str,
        prefix: &str,
        purpose: Purpose,
    ) -> Result<Option<NormalPath>, PathError> {
        let (kind, after) = match self {
            Self::Segments => return Ok(NormalPath::parse(path)?.strip_prefix(prefix)),
            Self::Names { after } => (Kind::Names, after),
            Self::Files { after } => (Kind::Files, after),
            Self::Keys { after } => (Kind::Keys, after),
        };
        let before = prefix.matches('/').count() + usize::from(after);
        let (head, name) = match split(path, before) {
            Some((head, name)) if !name.is_empty() => (head, name),
            Some(_) | None => return Ok(NormalPath::parse(path)?.strip_prefix(prefix)),
        };
        let head = if head.is_empty() { String::new() } else { NormalPath::parse(head)?.text };
        if head.ends_with('/') {
            return Err(PathError::EmptySegment);
        }
        let read = match purpose {
            Purpose::Forward => forwarded(&head, name)?,
            Purpose::Compare => compared(kind, &head, name, false)?,
            Purpose::CompareUnchanged => compared(kind, &head, name, true)?,
        };
        Ok(read.strip_prefix(prefix))
    }
}

/// Splits a path after so many segments, at a slash that is in neither part.
fn split(path: &str, segments: usize) -> Option<(&str, &str)> {
    let (slash, _) = path.match_indices('/').nth(segments)?;
    let (head, name) = path.split_at_checked(slash)?;
    Some((head, name.strip_prefix('/')?))
}

/// Reads a path that is sent unchanged. Its other readings are those without dot segments.
fn forwarded(head: &str, name: &str) -> Result<NormalPath, PathError> {
    let mut read = NormalPath { text: format!("{head}/{name}"), others: Vec::new() };
    if !name.contains(['%', '\\']) && !name.split('/').any(|segment| is_dots(segment.as_bytes())) {
        return Ok(read);
    }
    for decode in [decode, decode_strictly] {
        let mut rounds = 0;
        let mut next = Some(name.as_bytes().to_vec());
        while let Some(name) = next {
            for separators in [b"/".as_slice(), b"/\\"] {
                read.add(join(head, &resolved(segments(&name, separators))?));
            }
            if rounds > ROUNDS {
                return Err(PathError::EncodedTwice);
            }
            rounds += 1;
            next = decode(&name);
        }
    }
    Ok(read)
}

/// Reads a path that patterns are compared with. `unchanged`: it is sent unchanged nevertheless.
fn compared(kind: Kind, head: &str, name: &str, unchanged: bool) -> Result<NormalPath, PathError> {
    let first = match kind {
        Kind::Keys => name.split('/').map(decode_once).collect::<Result<Segments, PathError>>()?,
        Kind::Names => segments(&decode_once(name)?, b"/\\"),
        Kind::Files => kind.segments(&decode_once(name)?, b"/"),
    };
    check_dots(&first)?;
    let mut read = NormalPath { text: join(head, &first), others: Vec::new() };
    if kind == Kind::Files && first.iter().all(Vec::is_empty) {
        return Ok(read);
    }
    let mut views = match kind {
        Kind::Keys => vec![first],
        Kind::Names if !unchanged => vec![first],
        Kind::Names | Kind::Files => kind.views(&decode_once(name)?),
    };
    for _ in 0..=ROUNDS {
        for view in &views {
            read.add_variants(head, view);
        }
        match decode_again(kind, &views)? {
            Some(decoded) => views = decoded,
            None => return Ok(read),
        }
    }
    Err(PathError::EncodedTwice)
}

/// Decodes the views of a name once more; `None` if nothing is left to decode.
fn decode_again(kind: Kind, views: &[Segments]) -> Result<Option<Vec<Segments>>, PathError> {
    let Some(view) = views.first() else { return Ok(None) };
    if view.iter().any(|segment| decode(segment) != decode_strictly(segment)) {
        return Err(PathError::EncodedTwice);
    }
    let decoded: Segments = match kind {
        Kind::Keys if view.iter().any(|key| decode(key).is_some()) => {
            view.iter().map(|key| decode(key).unwrap_or_else(|| key.clone())).collect()
        }
        Kind::Names | Kind::Files => decode(&view.join(b"/".as_slice())).into_iter().collect(),
        Kind::Keys => Vec::new(),
    };
    if decoded.is_empty() {
        return Ok(None);
    }
    let is_invalid = |name: &Vec<u8>| name.iter().any(u8::is_ascii_control) || is_overlong(name);
    if decoded.iter().any(is_invalid) {
        return Err(PathError::EncodedTwice);
    }
    check_dots(&decoded).map_err(|_| PathError::EncodedTwice)?;
    Ok(Some(match (kind, decoded.first()) {
        (Kind::Names | Kind::Files, Some(name)) => kind.views(name),
        (Kind::Keys, _) | (Kind::Names | Kind::Files, None) => vec![decoded],
    }))
}

impl NormalPath {
    fn add(&mut self, other: String) {
        if other != self.text && !self.others.contains(&other) {
            self.others.push(other);
        }
    }

    /// Adds the readings of a name that a hierarchical namespace may have.
    fn add_variants(&mut self, head: &str, view: &Segments) {
        self.add(join(head, view));
        let without_dots: Segments =
            view.iter().map(|segment| without_trailing_dots(segment).to_vec()).collect();
        let without_empty =
            |view: &Segments| view.iter().filter(|segment| !segment.is_empty()).cloned().collect();
        let variants: [Segments; 2] = [without_empty(view), without_empty(&without_dots)];
        self.add(join(head, &without_dots));
        for variant in variants {
            self.add(join(head, &variant));
        }
    }
}

fn without_trailing_dots(segment: &[u8]) -> &[u8] {
    let end = segment.iter().rposition(|byte| *byte != b'.').map_or(0, |last| last + 1);
    segment.get(..end).unwrap_or_default()
}

/// Decodes a name once, as a service does.
fn decode_once(name: &str) -> Result<Vec<u8>, PathError> {
    let mut rest = name.as_bytes();
    while let Some(percent) = rest.iter().position(|byte| *byte == b'%') {
        match rest.get(percent..) {
            Some([_, high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                rest = after;
            }
            Some(_) | None => return Err(PathError::BrokenEncoding),
        }
    }
    let decoded: Vec<u8> = percent_decode_str(name).collect();
    if decoded.iter().any(u8::is_ascii_control) {
        return Err(PathError::Control);
    }
    if is_overlong(&decoded) {
        return Err(PathError::Overlong);
    }
    if str::from_utf8(&decoded).is_err() {
        return Err(PathError::NotUtf8);
    }
    Ok(decoded)
}

fn segments(name: &[u8], separators: &[u8]) -> Segments {
    name.split(|byte| separators.contains(byte)).map(<[u8]>::to_vec).collect()
}

/// The segments without dot segments and empty ones.
fn resolved(segments: Segments) -> Result<Segments, PathError> {
    let mut resolved = Segments::new();
    for segment in segments {
        if segment.is_empty() {
            continue;
        }
        if !is_dots(&segment) {
            resolved.push(segment);
        } else if segment.trim_ascii_start().starts_with(b"..") {
            resolved.pop().ok_or(PathError::DotSegment)?;
        }
    }
    Ok(resolved)
}

fn check_dots(segments: &Segments) -> Result<(), PathError> {
    let has_dots =
        |segment: &Vec<u8>| segment.split(|byte| matches!(byte, b'/' | b'\\')).any(is_dots);
    if segments.iter().any(has_dots) { Err(PathError::DotSegment) } else { Ok(()) }
}

fn join(head: &str, segments: &Segments) -> String {
    let mut path = head.to_owned();
    for segment in segments {
        path.push('/');
        path.extend(percent_encode(segment, UNRESERVED));
    }
    if path.is_empty() { "/".to_owned() } else { path }
}
