//! Names of configuration keys whose values may be secrets. No message contains such a value.

use crate::text::toml_key;

/// Parts of the names of keys whose values may be secrets.
const SECRET_WORDS: [&str; 7] =
    ["secret", "password", "passphrase", "passwd", "key", "token", "credential"];

/// The Jaro-Winkler similarity to one of those words above which a part of a name counts as
/// misspelt: `pasword`, `tokn`, `sercet`.
const SIMILARITY: f64 = 0.9;

/// Whether the value of a key with this name may be a secret, which must not be printed. Misspelt
/// names count too.
#[must_use]
pub fn names_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let parts = || key.split(|c: char| !c.is_ascii_alphabetic()).filter(|part| part.len() > 3);
    SECRET_WORDS.iter().any(|word| {
        key.contains(word)
            || (word.len() > 3 && parts().any(|part| strsim::jaro_winkler(part, word) > SIMILARITY))
    })
}

/// `key = value` for a message, or only the key if the value may be a secret.
pub(crate) fn shown(key: &str, value: impl std::fmt::Display) -> String {
    if names_secret(key) { toml_key(key) } else { format!("{} = {value}", toml_key(key)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_secret_is_recognized_even_if_misspelt() {
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
