//! What a path means to a simple server, and what a pattern of paths means to a reader of the
//! documentation.

/// The segments of a path, decoded.
pub(super) type Segments = Vec<Vec<u8>>;

/// Decodes once. An invalid encoding is left unchanged.
pub(super) fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        match (byte, after) {
            (b'%', [high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                decoded.push(value(*high) * 16 + value(*low));
                rest = after;
            }
            _ => decoded.push(*byte),
        }
    }
    decoded
}

fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

/// Decodes until nothing changes.
pub(super) fn decode_fully(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    loop {
        let decoded = decode(&text);
        if decoded == text {
            return text;
        }
        text = decoded;
    }
}

/// Splits a text, which begins with a slash, at slashes, and perhaps at backslashes.
pub(super) fn split(text: &[u8], backslashes: bool) -> Segments {
    let is_separator = |byte: &u8| *byte == b'/' || backslashes && *byte == b'\\';
    text.split(is_separator).skip(1).map(<[u8]>::to_vec).collect()
}

/// Whether a server that resolves dot segments, or ends a segment at a semicolon, would read
/// another path.
pub(super) fn has_dot_segment(segments: &[Vec<u8>]) -> bool {
    segments.iter().any(|segment| {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        name == b"." || name == b".."
    })
}

/// Whether the path of a pattern, as it is written, covers these segments.
pub(super) fn path_covers(pattern: &str, segments: &[Vec<u8>], ignore_case: bool) -> bool {
    let mut rest = segments;
    let mut globs = pattern.split('/').skip(1).peekable();
    while let Some(glob) = globs.next() {
        if glob == "**" && globs.peek().is_none() {
            return rest.iter().any(|segment| !segment.is_empty());
        }
        let [segment, after @ ..] = rest else { return false };
        if !matches(&tokens(glob), segment, ignore_case) {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

/// The bytes of a segment of a pattern; `None` for `*`.
fn tokens(glob: &str) -> Vec<Option<u8>> {
    let mut tokens = Vec::new();
    for (index, literal) in glob.split('*').enumerate() {
        if index > 0 {
            tokens.push(None);
        }
        tokens.extend(decode(literal.as_bytes()).into_iter().map(Some));
    }
    tokens
}

/// Whether a segment matches, computed for all its beginnings at once.
fn matches(tokens: &[Option<u8>], segment: &[u8], ignore_case: bool) -> bool {
    let fold = |byte: u8| if ignore_case { byte.to_ascii_lowercase() } else { byte };
    // Whether the tokens so far match the first so many bytes.
    let mut matched = vec![false; segment.len() + 1];
    if let Some(first) = matched.first_mut() {
        *first = true;
    }
    for token in tokens {
        let mut next = vec![false];
        for (before, byte) in matched.iter().zip(segment) {
            next.push(match token {
                Some(expected) => *before && fold(*expected) == fold(*byte),
                None => *before || next.last().is_some_and(|last| *last),
            });
        }
        matched = next;
    }
    matched.last().is_some_and(|last| *last)
}

/// Whether a host pattern, as it is written, covers a host.
pub(super) fn host_covers(pattern: &str, host: &str) -> bool {
    let (patterns, labels) =
        (pattern.split('.').collect::<Vec<_>>(), host.split('.').collect::<Vec<_>>());
    patterns.len() == labels.len()
        && patterns.iter().zip(labels).all(|(pattern, label)| {
            let bytes = label.as_bytes();
            let is_label = !bytes.is_empty()
                && bytes.len() < 64
                && bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
                && bytes.first() != Some(&b'-')
                && bytes.last() != Some(&b'-');
            let is_same = |(expected, byte): (u8, &u8)| match expected {
                b'#' => byte.is_ascii_digit(),
                expected => expected == *byte,
            };
            is_label
                && match *pattern {
                    "*" => true,
                    "<hex>" => bytes.iter().all(|byte| matches!(byte, b'a'..=b'f' | b'0'..=b'9')),
                    pattern => {
                        pattern.len() == bytes.len() && pattern.bytes().zip(bytes).all(is_same)
                    }
                }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_read_as_the_documentation_says() {
        let covers = |pattern: &str, path: &str| {
            let segments: Segments =
                split(path.as_bytes(), false).iter().map(|segment| decode(segment)).collect();
            path_covers(pattern, &segments, false)
        };
        for (pattern, path) in [
            ("/a/*", "/a/b"),
            ("/a/**", "/a/b/c"),
            ("/a*c*", "/abcd"),
            ("/%61", "/a"),
            ("/a%2A", "/a*"),
        ] {
            assert!(covers(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/a/*", "/a/"),
            ("/a/*", "/a/b/c"),
            ("/a/**", "/a/"),
            ("/a*c*", "/acd"),
            ("/a%2A", "/ab"),
            ("/A", "/a"),
        ] {
            assert!(!covers(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_text_is_decoded_once_or_fully() {
        assert_eq!(decode(b"/%2525%zz%4"), b"/%25%zz%4");
        assert_eq!(decode_fully(b"%25%32%66"), b"/");
        assert!(has_dot_segment(&split(b"/a/..;x/b", false)));
        assert!(has_dot_segment(&split(b"/a\\..\\b", true)));
        assert!(!has_dot_segment(&split(b"/a\\..\\b", false)));
    }

    #[test]
    fn a_host_pattern_is_read_as_the_documentation_says() {
        assert!(host_covers("*.z##.<hex>.net", "a-b.z07.af1.net"));
        for host in ["-a.z07.af1.net", "a.z7.af1.net", "a.z07.ag1.net", "a.b.z07.af1.net", ""] {
            assert!(!host_covers("*.z##.<hex>.net", host), "{host}");
        }
    }
}
