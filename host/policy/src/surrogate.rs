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

    #[test]
    fn a_text_that_is_too_short_or_has_another_character_is_not_a_surrogate() {
        let random = "aB3-_".repeat(9);
        let random = random.split_at(RANDOM_CHARACTERS).0;
        assert!(is_in(format!("{PREFIX}{random}").as_bytes()));
        for position in [0, 20, RANDOM_CHARACTERS - 1] {
            let mut broken = random.to_owned();
            broken.replace_range(position..=position, "+");
            assert!(!is_in(format!("{PREFIX}{broken} and more text").as_bytes()), "{broken}");
        }
        let short = random.split_at(RANDOM_CHARACTERS - 1).0;
        assert!(!is_in(format!("{PREFIX}{short}.{random}").as_bytes()));
        assert!(is_in(format!("{PREFIX}{short}.{PREFIX}{random}").as_bytes()));
    }

    #[test]
    fn the_beginning_of_a_surrogate_at_the_end_of_a_text_is_found() {
        let surrogate = format!("{PREFIX}{}", "aB3-_".repeat(9).split_at(RANDOM_CHARACTERS).0);
        for length in 0..surrogate.len() {
            let beginning = surrogate.split_at(length).0;
            for before in ["", "x", "x".repeat(100).as_str(), "a keyward-surrogate+"] {
                let text = format!("{before}{beginning}");
                assert_eq!(possible_prefix(text.as_bytes()), length, "{text}");
            }
        }
        for complete in [surrogate.clone(), format!("x{surrogate}"), format!("{surrogate}A")] {
            assert_eq!(
                possible_prefix(complete.as_bytes()),
                0,
                "{complete} is not only a beginning"
            );
        }
        for text in ["", "x", "keyward_", "keyward-surrogate-a b", "surrogate-"] {
            assert_eq!(possible_prefix(text.as_bytes()), 0, "{text}");
        }
        assert_eq!(possible_prefix(b"keyward-surrogate-akeyw"), 23, "it may go on with `keyw`");
        assert_eq!(possible_prefix(b"keyward-surrogate-a.keyw"), 4);
    }
}
