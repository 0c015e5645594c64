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
        random.iter().take_while(|byte| is_base64url(byte)).count() >= RANDOM_CHARACTERS
    })
}

/// How many bytes at the end of a text may be the beginning of a surrogate.
#[must_use]
pub fn possible_prefix(text: &[u8]) -> usize {
    let longest = (PREFIX.len() + RANDOM_CHARACTERS - 1).min(text.len());
    let tail = text.get(text.len() - longest..).unwrap_or_default();
    let may_begin = |start: &usize| {
        let rest = tail.get(*start..).unwrap_or_default();
        match rest.strip_prefix(PREFIX.as_bytes()) {
            Some(random) => random.iter().all(is_base64url),
            None => PREFIX.as_bytes().starts_with(rest),
        }
    };
    (0..tail.len()).find(may_begin).map_or(0, |start| tail.len() - start)
}

fn is_base64url(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
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
