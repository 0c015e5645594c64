//! Decodings of a segment. Servers and proxies decode a path once, twice, or until nothing changes.

use super::PathError;

/// How many rounds of decoding are checked. Valid names need fewer; a path with more is rejected.
pub(super) const ROUNDS: usize = 8;

/// Checks that a segment in normal form is one name that is neither `.` nor `..`, however often it
/// is decoded.
pub(super) fn check(segment: &str) -> Result<(), PathError> {
    check_name(segment.as_bytes())?;
    let Some(mut name) = decode(segment.as_bytes()) else { return Ok(()) };
    check_name(&name)?;
    for _ in 0..ROUNDS {
        let Some(decoded) = decode(&name) else { return Ok(()) };
        name = decoded;
        check_name(&name).map_err(|_| PathError::EncodedTwice)?;
    }
    Err(PathError::EncodedTwice)
}

fn check_name(name: &[u8]) -> Result<(), PathError> {
    for byte in name {
        match byte {
            b'/' => return Err(PathError::EncodedSlash),
            b'\\' => return Err(PathError::Backslash),
            byte if byte.is_ascii_control() => return Err(PathError::Control),
            _ => {}
        }
    }
    if is_dots(name) {
        return Err(PathError::DotSegment);
    }
    if name.contains(&b';') {
        return Err(PathError::Semicolon);
    }
    if is_overlong(name) { Err(PathError::Overlong) } else { Ok(()) }
}

/// Whether a server may read a segment as `.` or `..`. Some servers end a segment at a semicolon,
/// and some remove spaces and dots.
pub(super) fn is_dots(name: &[u8]) -> bool {
    let ends = |byte: &u8| matches!(byte, b';' | b'?' | b'#');
    let before = name.split(ends).next().unwrap_or_default().trim_ascii();
    let is_dots_and_spaces =
        || before.contains(&b' ') && before.iter().all(|byte| matches!(byte, b'.' | b' '));
    matches!(before, b"." | b"..") || is_dots_and_spaces()
}

/// Whether a character is encoded in more bytes than UTF-8 allows. Lenient decoders decode `C0 AF`
/// to `/`.
pub(super) fn is_overlong(name: &[u8]) -> bool {
    let pair = |pair: &[u8]| matches!(pair, [0xE0, 0x80..=0x9F] | [0xF0, 0x80..=0x8F]);
    name.iter().any(|byte| matches!(byte, 0xC0 | 0xC1 | 0xF8..)) || name.windows(2).any(pair)
}

/// Decodes once, as RFC 3986 specifies; `None` if nothing is encoded.
pub(super) fn decode_strictly(text: &[u8]) -> Option<Vec<u8>> {
    let decoded: Vec<u8> = percent_encoding::percent_decode(text).collect();
    (decoded != text).then_some(decoded)
}

/// Decodes once, as leniently as any server does: invalid encodings are left unchanged, and
/// `%uXXXX` is a character too. `None` if nothing is encoded.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let (mut rest, mut changed) = (text, false);
    while let Some((byte, after)) = rest.split_first() {
        let wide = || hex(after.strip_prefix(b"u").or_else(|| after.strip_prefix(b"U"))?, 4);
        rest = after;
        if *byte != b'%' {
            decoded.push(*byte);
        } else if let Some(byte) = hex(after, 2).and_then(|code| u8::try_from(code).ok()) {
            decoded.push(byte);
            rest = after.get(2..).unwrap_or_default();
            changed = true;
        } else if let Some(character) = wide().and_then(char::from_u32) {
            decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            rest = after.get(5..).unwrap_or_default();
            changed = true;
        } else {
            decoded.push(b'%');
        }
    }
    changed.then_some(decoded)
}

/// Parses so many hexadecimal digits at the beginning of `text`.
fn hex(text: &[u8], digits: usize) -> Option<u32> {
    let digit = |value: u32, byte: &u8| Some(value * 16 + char::from(*byte).to_digit(16)?);
    text.get(..digits)?.iter().try_fold(0, digit)
}
