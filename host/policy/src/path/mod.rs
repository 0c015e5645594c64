//! Paths of requests, as the service that they are sent to reads them.
//!
//! [`PathReading`] says how that is. Most services read segments: [`NormalPath::parse`] refuses a
//! path that somebody on the way could read in another form. `decoding` looks at those forms:
//! decoded any number of times, a path that passes has the same segments, and none of them is a dot
//! segment. Where a service has names of its own behind the first segments, such as blobs, more is
//! legal, and what can be read in several ways must be allowed in all of them.

mod decoding;
mod names;
#[cfg(any(test, fuzzing))]
pub(crate) mod property;
mod reading;
#[cfg(test)]
mod tests;

use std::fmt;

pub use reading::{PathReading, Purpose};

/// A path in the form in which it is sent, with the other ways in which it may be read.
///
/// By segments there is one way. Unreserved characters are not encoded, and what stays encoded has
/// upper-case digits ([RFC 3986, 6.2.2]).
///
/// [RFC 3986, 6.2.2]: https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalPath {
    text: String,
    /// Other readings of a path with a name in it, encoded as `text` is.
    others: Vec<String>,
}

/// Why a path can be read in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with a slash.
    #[error("it does not begin with a slash")]
    NotAbsolute,
    /// `.` or `..` as a segment, encoded or with parameters behind it too.
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
    /// A `%` without two hexadecimal digits behind it.
    #[error("it has an invalid percent-encoding")]
    BrokenEncoding,
    /// Something that is refused, encoded more than once; or encoding within encoding, without an
    /// end.
    #[error("it has a character that is encoded twice")]
    EncodedTwice,
    /// `;`, encoded too: some servers take what follows for parameters.
    #[error("it has a semicolon")]
    Semicolon,
    /// A character in more bytes than UTF-8 allows.
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
    /// Brings a path that is read by segments into normal form. A path has no query.
    ///
    /// # Errors
    ///
    /// The path can be read in more than one way.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        let Some(rest) = path.strip_prefix('/') else { return Err(PathError::NotAbsolute) };
        let mut normal = String::with_capacity(path.len());
        let segments = rest.split('/').count();
        for (number, segment) in rest.split('/').enumerate() {
            normal.push('/');
            if segment.is_empty() {
                // One slash at the end is a path of its own, and so is a slash alone.
                if number + 1 == segments {
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

    /// All ways in which the path may be read, the one in which it is sent first.
    pub fn readings(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.as_str()).chain(self.others.iter().map(String::as_str))
    }

    /// The path behind a prefix, which is whole segments.
    #[must_use]
    pub fn behind(&self, prefix: &str) -> Option<Self> {
        let behind = |path: &str| {
            let rest = path.strip_prefix(prefix)?;
            if rest.starts_with('/') {
                Some(rest.to_owned())
            } else {
                rest.is_empty().then(|| "/".to_owned())
            }
        };
        let others = self.others.iter().map(|other| behind(other)).collect::<Option<_>>()?;
        Some(Self { text: behind(&self.text)?, others })
    }

    /// A path for a pattern that covers this one in all its readings.
    #[must_use]
    pub fn to_allow(&self) -> String {
        if self.others.is_empty() {
            return self.text.clone();
        }
        // What all of them have in common, but for the last segment, and what is below it.
        let all: Vec<Vec<&str>> =
            self.readings().map(|reading| reading.split('/').collect()).collect();
        let shortest = all.iter().map(Vec::len).min().unwrap_or_default();
        let is_common = |number: &usize| {
            all.iter().all(|one| one.get(*number) == all.first().and_then(|a| a.get(*number)))
        };
        let common = (0..shortest.saturating_sub(1)).take_while(is_common).count();
        let common: Vec<&str> = all.first().into_iter().flatten().take(common).copied().collect();
        format!("{}/**", common.join("/"))
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
            // These would end the path.
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
