//! Paths of requests, as the service that they are sent to reads them.
//!
//! [`PathReading`] is how a service does that. Most services read segments: [`NormalPath::parse`]
//! rejects a path that a proxy or server could read in another form. `decoding` checks those forms:
//! decoded any number of times, a valid path has the same segments, and none of them is a dot
//! segment. Where names follow the first segments, such as blobs in a container, more paths are
//! valid, and a path that can be read in several ways must be allowed in all of them.

mod decoding;
mod names;
#[cfg(test)]
mod path_tests;
#[cfg(any(test, fuzzing))]
pub(crate) mod property;
mod reading;

use std::fmt;

pub use reading::{PathReading, Purpose};

/// A path in the form in which it is sent, with its other readings.
///
/// A path that is read by segments has no other reading. Unreserved characters are not encoded, and
/// percent-encodings have upper-case digits ([RFC 3986, 6.2.2]).
///
/// [RFC 3986, 6.2.2]: https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalPath {
    text: String,
    /// Other readings of a path with a name in it, in the encoding of `text`.
    others: Vec<String>,
}

/// Why a path is ambiguous: it can be read in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with a slash.
    #[error("it does not begin with a slash")]
    NotAbsolute,
    /// A segment `.` or `..`, also encoded or followed by parameters.
    #[error("it has a dot segment")]
    DotSegment,
    /// Two slashes in a row.
    #[error("it has an empty segment")]
    EmptySegment,
    /// `%2F`.
    #[error("it has an encoded slash")]
    EncodedSlash,
    /// A backslash, or `%5C`.
    #[error("it has a backslash")]
    Backslash,
    /// A `%` that two hexadecimal digits do not follow.
    #[error("it has an invalid percent-encoding")]
    BrokenEncoding,
    /// A character that is not permitted, encoded more than once, or more rounds of encoding than
    /// are checked.
    #[error("it has a character that is encoded twice")]
    EncodedTwice,
    /// `;`, also encoded: some servers read what follows as parameters.
    #[error("it has a semicolon")]
    Semicolon,
    /// A character that is encoded in more bytes than UTF-8 allows.
    #[error("it has an overlong encoding")]
    Overlong,
    /// A name that is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// A control character, or `%00` and the like.
    #[error("it has a control character")]
    Control,
}

impl NormalPath {
    /// Normalizes a path that is read by segments. `path` has no query.
    ///
    /// # Errors
    ///
    /// The path can be read in more than one way.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        let Some(rest) = path.strip_prefix('/') else { return Err(PathError::NotAbsolute) };
        let mut normal = String::with_capacity(path.len());
        let segments = rest.split('/').count();
        for (index, segment) in rest.split('/').enumerate() {
            normal.push('/');
            if segment.is_empty() {
                // `/a` and `/a/` are two valid paths, and so is `/`.
                if index + 1 == segments {
                    break;
                }
                return Err(PathError::EmptySegment);
            }
            let start = normal.len();
            push_segment(segment, &mut normal)?;
            decoding::check(normal.get(start..).unwrap_or_default())?;
        }
        Ok(Self { text: normal, others: Vec::new() })
    }

    /// The path, as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// All readings of the path. The first is the path as it is sent.
    pub fn readings(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.as_str()).chain(self.others.iter().map(String::as_str))
    }

    /// Removes a prefix of whole segments; `None` if the path does not begin with it.
    #[must_use]
    pub fn strip_prefix(&self, prefix: &str) -> Option<Self> {
        let strip = |path: &str| {
            let rest = path.strip_prefix(prefix)?;
            if rest.starts_with('/') {
                Some(rest.to_owned())
            } else {
                rest.is_empty().then(|| "/".to_owned())
            }
        };
        let others = self.others.iter().map(|other| strip(other)).collect::<Option<_>>()?;
        Some(Self { text: strip(&self.text)?, others })
    }

    /// The path of a pattern that covers this path in all its readings.
    #[must_use]
    pub fn covering_pattern(&self) -> String {
        // Unencoded, a star of the path would match other paths too. No pattern may have the
        // backslashes that a key may have; a star matches several.
        let literal = |path: &str| {
            let mut pattern = path.replace('*', "%2A").replace("%5C", "*");
            while pattern.contains("**") {
                pattern = pattern.replace("**", "*");
            }
            pattern
        };
        if self.others.is_empty() {
            return literal(&self.text);
        }
        // The segments that all readings have in common, without the last, and `**` for the rest.
        let all: Vec<Vec<&str>> =
            self.readings().map(|reading| reading.split('/').collect()).collect();
        let shortest = all.iter().map(Vec::len).min().unwrap_or_default();
        let is_common = |index: &usize| {
            all.iter().all(|one| one.get(*index) == all.first().and_then(|a| a.get(*index)))
        };
        let common = (0..shortest.saturating_sub(1)).take_while(is_common).count();
        let common: Vec<&str> = all.first().into_iter().flatten().take(common).copied().collect();
        format!("{}/**", literal(&common.join("/")))
    }
}

fn push_segment(segment: &str, normal: &mut String) -> Result<(), PathError> {
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => return Err(PathError::Backslash),
            byte if byte.is_ascii_control() => return Err(PathError::Control),
            b'%' => {
                let decoded =
                    hex(bytes.next()).zip(hex(bytes.next())).ok_or(PathError::BrokenEncoding)?;
                match decoded.0 * 16 + decoded.1 {
                    b'/' => return Err(PathError::EncodedSlash),
                    b'\\' => return Err(PathError::Backslash),
                    byte if byte.is_ascii_control() => return Err(PathError::Control),
                    byte if is_unreserved(byte) => normal.push(char::from(byte)),
                    byte => normal.push_str(&format!("%{byte:02X}")),
                }
            }
            // Unencoded, these would end the path.
            b'?' | b'#' => normal.push_str(&format!("%{byte:02X}")),
            byte if byte.is_ascii() => normal.push(char::from(byte)),
            byte => normal.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(())
}

fn hex(byte: Option<u8>) -> Option<u8> {
    let digit = char::from(byte?).to_digit(16)?;
    u8::try_from(digit).ok()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

impl fmt::Display for NormalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
