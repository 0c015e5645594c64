//! What must hold of every path, for tests and the fuzz target in `fuzz`. Written apart from the rules that it checks.

use percent_encoding::percent_decode;

use super::NormalPath;

/// Brings a path into normal form, and checks what came of it.
///
/// # Panics
///
/// A path that passes can be read in another way.
pub(crate) fn check(path: &str) {
    let Ok(normal) = NormalPath::parse(path) else { return };
    assert_eq!(NormalPath::parse(normal.as_str()).as_ref(), Ok(&normal), "the normal form is normal");
    let segments = normal.as_str().split('/').count();
    let mut text = normal.as_str().as_bytes().to_vec();
    loop {
        assert_eq!(text.split(|byte| *byte == b'/').count(), segments, "{path:?} has other segments when decoded");
        assert!(!text.iter().any(|byte| byte.is_ascii_control() || matches!(byte, b'\\' | b';')), "{path:?}");
        for segment in text.split(|byte| *byte == b'/').skip(1) {
            let name = segment.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
            assert!(!matches!(name, b"." | b".."), "{path:?} has a dot segment when decoded");
        }
        let decoded: Vec<u8> = percent_decode(&text).collect();
        if decoded == text {
            return;
        }
        text = decoded;
    }
}
