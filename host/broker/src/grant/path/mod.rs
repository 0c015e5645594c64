//! Paths that can be read in one way only.
//!
//! A path is checked in the form in which it is sent. [`reading`] looks at what others may make of it: decoded any number of
//! times, a path that passes has the same segments, and none of them is a dot segment.

#[cfg(any(test, fuzzing))]
pub(crate) mod property;
mod reading;
#[cfg(test)]
mod tests;

use std::fmt;

/// A path in normal form: unreserved characters are not encoded, what stays encoded has upper-case digits ([RFC 3986,
/// 6.2.2]), and nothing in it can be read in two ways.
///
/// [RFC 3986, 6.2.2]: https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalPath(String);

/// Why a path can be read in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
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
    #[error("it has a broken percent-encoding")]
    BrokenEncoding,
    /// Something that is refused, encoded more than once; or encoding within encoding, without an end.
    #[error("it has a character that is encoded twice")]
    EncodedTwice,
    /// `;`, encoded too: some servers take what follows for parameters.
    #[error("it has a semicolon")]
    Semicolon,
    /// A character in more bytes than UTF-8 allows.
    #[error("it has an overlong encoding")]
    Overlong,
    /// A control character, or `%00` and the like.
    #[error("it has a control character")]
    Control,
}

impl NormalPath {
    /// Brings a path into normal form. A path has no query.
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
            reading::check(normal.get(start..).unwrap_or_default())?;
        }
        Ok(Self(normal))
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path behind a prefix, which is whole segments.
    #[must_use]
    pub fn behind(&self, prefix: &str) -> Option<Self> {
        let rest = self.0.strip_prefix(prefix)?;
        if rest.starts_with('/') { Some(Self(rest.to_owned())) } else { rest.is_empty().then(|| Self("/".to_owned())) }
    }

    /// The segments. A slash at the end gives an empty one.
    pub(super) fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').skip(1)
    }
}

fn push_segment(segment: &str, normal: &mut String) -> Result<(), PathError> {
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => return Err(PathError::Backslash),
            byte if byte.is_ascii_control() => return Err(PathError::Control),
            b'%' => {
                let decoded = hex(bytes.next()).zip(hex(bytes.next())).ok_or(PathError::BrokenEncoding)?;
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
        f.write_str(&self.0)
    }
}
