//! Paths that can be read in one way only.

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
    /// A slash, a backslash or a dot that is encoded twice.
    #[error("it has a character that is encoded twice")]
    EncodedTwice,
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
            // Some servers take what is behind a semicolon for parameters: `..;x` is `..` to them.
            let name = normal.get(start..).and_then(|segment| segment.split(';').next());
            if matches!(name, Some("." | "..")) {
                return Err(PathError::DotSegment);
            }
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
                    b'%' if decodes_to_a_separator(bytes.clone()) => return Err(PathError::EncodedTwice),
                    byte if is_unreserved(byte) => normal.push(char::from(byte)),
                    byte => normal.push_str(&format!("%{byte:02X}")),
                }
            }
            byte if byte.is_ascii() => normal.push(char::from(byte)),
            byte => normal.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(())
}

/// Whether what follows an encoded `%` would, decoded once more, be a slash, a backslash or a dot.
fn decodes_to_a_separator(mut following: std::str::Bytes<'_>) -> bool {
    let digits = hex(following.next()).zip(hex(following.next()));
    digits.is_some_and(|(high, low)| matches!(high * 16 + low, b'/' | b'\\' | b'.'))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_path_has_one_form() {
        let normal = |path| NormalPath::parse(path).unwrap().0;
        assert_eq!(normal("/"), "/");
        assert_eq!(normal("/secrets/db"), "/secrets/db");
        assert_eq!(normal("/secrets/"), "/secrets/");
        assert_eq!(normal("/%73ecrets/%64%62"), "/secrets/db");
        assert_eq!(normal("/a%3ab%c3%a4"), "/a%3Ab%C3%A4");
        assert_eq!(normal("/100%25"), "/100%25");
        assert_eq!(normal("/a%252x"), "/a%252x");
        assert_eq!(normal("/..."), "/...");
        assert_eq!(normal("/.well-known/a..b"), "/.well-known/a..b");
        assert_eq!(normal("/ä"), "/%C3%A4");
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        use PathError::*;
        for (path, error) in [
            ("", NotAbsolute),
            ("secrets", NotAbsolute),
            ("/a/../b", DotSegment),
            ("/a/.", DotSegment),
            ("/a/%2e%2E/b", DotSegment),
            ("/a/.%2e/b", DotSegment),
            ("/a/..;x=1/b", DotSegment),
            ("/a//b", EmptySegment),
            ("//a", EmptySegment),
            ("//", EmptySegment),
            ("/a/%2f", EncodedSlash),
            ("/a%2Fb", EncodedSlash),
            ("/a\\b", Backslash),
            ("/a%5cb", Backslash),
            ("/a%", BrokenEncoding),
            ("/a%4", BrokenEncoding),
            ("/a%zz", BrokenEncoding),
            ("/a%+1", BrokenEncoding),
            ("/a%252fb", EncodedTwice),
            ("/%252e%252e/b", EncodedTwice),
            ("/a%255cb", EncodedTwice),
            ("/a%00", Control),
            ("/a%0d%0ab", Control),
            ("/a\r\nb", Control),
        ] {
            assert_eq!(NormalPath::parse(path), Err(error), "{path:?}");
        }
    }

    #[test]
    fn a_prefix_is_whole_segments() {
        let behind = |path, prefix| NormalPath::parse(path).unwrap().behind(prefix).map(|path| path.0);
        assert_eq!(behind("/tenant/a", "/tenant").as_deref(), Some("/a"));
        assert_eq!(behind("/tenant", "/tenant").as_deref(), Some("/"));
        assert_eq!(behind("/tenants/a", "/tenant"), None);
        assert_eq!(behind("/a", "").as_deref(), Some("/a"));
    }
}
