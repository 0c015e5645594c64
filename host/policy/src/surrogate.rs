//! The format of surrogates, by which they are recognized anywhere.

use std::sync::LazyLock;

use memchr::memmem;

/// The prefix of every surrogate, by which one is recognized in a log.
pub const PREFIX: &str = "keyward-surrogate-";

/// How many characters follow the prefix: 256 random bits in base64url.
pub const RANDOM_CHARACTERS: usize = 43;

/// Whether `text` contains a surrogate, of any call.
#[must_use]
pub fn is_in(text: &[u8]) -> bool {
    static FINDER: LazyLock<memmem::Finder<'static>> =
        LazyLock::new(|| memmem::Finder::new(PREFIX));
    if text.len() < PREFIX.len() + RANDOM_CHARACTERS {
        return false;
    }
    FINDER.find_iter(text).any(|start| {
        let random = text.get(start + PREFIX.len()..).unwrap_or_default();
        let is_base64url = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        random.iter().take_while(|byte| is_base64url(byte)).count() >= RANDOM_CHARACTERS
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surrogate_is_found_anywhere_in_a_text() {
        let surrogate = format!("{PREFIX}{}", "aB3-_".repeat(9).split_at(RANDOM_CHARACTERS).0);
        assert!(is_in(format!("x={surrogate}&y").as_bytes()));
        assert!(is_in(format!("{PREFIX}{surrogate}").as_bytes()));
        assert!(!is_in(surrogate.split_at(60).0.as_bytes()));
        assert!(!is_in(b"keyward-surrogate-"));
        assert!(!is_in(b""));
    }
}
