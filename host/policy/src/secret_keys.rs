//! Keys of a configuration whose values may be secrets: no message repeats those values.

use crate::text::bare;

/// What a key's name says when its value may be a secret.
const SECRET: [&str; 7] =
    ["secret", "password", "passphrase", "passwd", "key", "token", "credential"];

/// How much a part of a name must be like one of those words: `pasword`, `tokn`, `sercet`.
const LIKENESS: f64 = 0.9;

/// Whether a key's name says that its value may be a secret: what prints a configuration leaves
/// such a value out. A name that is nearly so counts too, since it may be a typing error.
#[must_use]
pub fn names_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let parts = || key.split(|c: char| !c.is_ascii_alphabetic()).filter(|part| part.len() > 3);
    SECRET.iter().any(|word| {
        key.contains(word)
            || (word.len() > 3 && parts().any(|part| strsim::jaro_winkler(part, word) > LIKENESS))
    })
}

/// `key = value` for a message, or the key alone where its value may be a secret.
pub(crate) fn shown(key: &str, value: impl std::fmt::Display) -> String {
    if names_secret(key) { bare(key) } else { format!("{} = {value}", bare(key)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_says_secret_or_nearly_so_is_one() {
        for key in [
            "client_secret",
            "clientSecret",
            "password",
            "pasword",
            "sas_token",
            "tokn",
            "account_key",
            "KEY",
            "persist_key",
            "sercet",
            "credential",
        ] {
            assert!(names_secret(key), "{key}");
        }
        for key in [
            "source",
            "endpoint",
            "client_id",
            "cloud",
            "plugin",
            "allow",
            "mode",
            "tcp",
            "persist",
        ] {
            assert!(!names_secret(key), "{key}");
        }
    }

    #[test]
    fn a_value_that_may_be_a_secret_is_not_shown() {
        assert_eq!(shown("client_secret", "\"hunter2\""), "client_secret");
        assert_eq!(shown("a secret", "\"hunter2\""), "\"a secret\"");
        assert_eq!(shown("cloud", "\"china\""), "cloud = \"china\"");
    }
}
