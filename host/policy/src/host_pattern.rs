//! Host patterns: the hosts of an audience in a manifest or in the cloud table.

use std::fmt;

/// A host name whose labels may be patterns: `*` matches one label, `<hex>` one label of
/// hexadecimal digits, and `#` within a label one digit. `*.vault.azure.net`,
/// `*.<hex>.database.windows.net`, `*.z##.blob.storage.azure.net`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern(String);

/// A string that is not a host pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a valid host pattern: expected a host name in lower case, such as \
     \"*.vault.azure.net\", where * or <hex> (hexadecimal digits) may replace a label, and # a \
     digit, but not in the last two labels"
)]
pub struct InvalidHostPattern(String);

impl HostPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    ///
    /// The string is not a host name with such labels, or one of the last two labels is a pattern,
    /// such as `*.net`, which would match anyone's hosts. A host name of one label, such as
    /// `localhost`, matches itself.
    pub fn parse(text: &str) -> Result<Self, InvalidHostPattern> {
        let labels: Vec<&str> = text.split('.').collect();
        let literal_labels = labels.iter().rev().take_while(|label| is_label(label)).count();
        let is_valid =
            |label: &&str| matches!(*label, "*" | HEX) || is_label(&label.replace('#', "0"));
        let is_valid = labels.iter().all(is_valid);
        if is_valid && (literal_labels >= 2 || literal_labels == labels.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidHostPattern(text.to_owned()))
        }
    }

    /// Whether a host matches the pattern.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        host_matches(&self.0, host)
    }

    /// A pattern for the hosts that match both patterns; `None` if there are none.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let (mut one, mut two, mut both) = (self.0.split('.'), other.0.split('.'), Vec::new());
        loop {
            match (one.next(), two.next()) {
                (None, None) => return Some(Self(both.join("."))),
                (Some(label), Some(other)) => both.push(intersect_labels(label, other)?),
                (Some(_), None) | (None, Some(_)) => return None,
            }
        }
    }

    /// The host, if no label is a pattern.
    #[must_use]
    pub fn only_host(&self) -> Option<&str> {
        (!self.0.contains(['*', '#', '<'])).then_some(self.0.as_str())
    }
}

/// A pattern for the labels that match both patterns.
fn intersect_labels(one: &str, other: &str) -> Option<String> {
    let is_hex = |label: &str| {
        label == HEX || label.bytes().all(|byte| byte == b'#' || byte.is_ascii_hexdigit())
    };
    match (one, other) {
        ("*", label) | (label, "*") => return Some(label.to_owned()),
        (HEX, label) | (label, HEX) => return is_hex(label).then(|| label.to_owned()),
        _ => {}
    }
    let both = one.chars().zip(other.chars()).map(|pair| match pair {
        (one, other) if one == other => Some(one),
        ('#', digit) | (digit, '#') if digit.is_ascii_digit() => Some(digit),
        _ => None,
    });
    if one.len() == other.len() { both.collect() } else { None }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The label of a host pattern that matches hexadecimal digits.
pub(crate) const HEX: &str = "<hex>";

/// Whether a host matches a pattern: see [`HostPattern`].
pub(crate) fn host_matches(pattern: &str, host: &str) -> bool {
    let (mut pattern, mut labels) = (pattern.split('.'), host.split('.'));
    loop {
        match (pattern.next(), labels.next()) {
            (None, None) => return true,
            (Some(expected), Some(label)) if label_matches(expected, label) => {}
            _ => return false,
        }
    }
}

fn label_matches(pattern: &str, label: &str) -> bool {
    let matches = |(expected, byte): (u8, u8)| {
        if expected == b'#' { byte.is_ascii_digit() } else { expected == byte }
    };
    match pattern {
        "*" => is_label(label),
        HEX => is_label(label) && label.bytes().all(|byte| byte.is_ascii_hexdigit()),
        pattern => pattern.len() == label.len() && pattern.bytes().zip(label.bytes()).all(matches),
    }
}

/// A label of a host name: letters in lower case, digits, hyphens within.
pub(crate) fn is_label(label: &str) -> bool {
    let fits = (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
    fits && label
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_label() {
        let pattern = HostPattern::parse("*.vault.azure.net").unwrap();
        assert!(pattern.matches("contoso.vault.azure.net"));
        for host in [
            "vault.azure.net",
            "a.b.vault.azure.net",
            "contoso.vault.azure.net.evil",
            ".vault.azure.net",
        ] {
            assert!(!pattern.matches(host), "{host}");
        }
        assert_eq!(
            HostPattern::parse("management.azure.com").unwrap().only_host(),
            Some("management.azure.com")
        );
    }

    #[test]
    fn a_pattern_may_have_digits_within_a_label() {
        let pattern = HostPattern::parse("*.z##.blob.storage.azure.net").unwrap();
        assert!(
            pattern.matches("contoso.z07.blob.storage.azure.net") && pattern.only_host().is_none()
        );
        for zone in [
            "z1",
            "z123",
            "za1",
            "z#1",
            "z-1",
            "Z12",
            "y12",
            "z12.z12",
            "zz12",
            "z\u{661}1",
            "*",
            "",
        ] {
            assert!(!pattern.matches(&format!("contoso.{zone}.blob.storage.azure.net")), "{zone}");
        }
        let pattern = HostPattern::parse("*.public.*.database.windows.net").unwrap();
        assert!(pattern.matches("contoso.public.a1b2c3d4e5f6.database.windows.net"));
        for host in [
            "contoso.public.database.windows.net",
            "contoso.a1b2c3d4e5f6.public.database.windows.net",
        ] {
            assert!(!pattern.matches(host), "{host}");
        }
    }

    #[test]
    fn a_label_may_be_of_hexadecimal_digits() {
        let pattern = HostPattern::parse("*.<hex>.database.windows.net").unwrap();
        assert!(
            pattern.matches("contoso.a1b2c3d4e5f6.database.windows.net")
                && pattern.only_host().is_none()
        );
        for label in ["mysql", "postgres", "privatelink", "a1-b2", "A1B2", "<hex>", "*", ""] {
            assert!(!pattern.matches(&format!("contoso.{label}.database.windows.net")), "{label}");
        }
    }

    #[test]
    fn an_intersection_has_the_hosts_of_both() {
        let pattern = |text: &str| HostPattern::parse(text).unwrap();
        for (one, two, both) in [
            ("*.azure.com", "management.azure.com", Some("management.azure.com")),
            ("*.*.azure.net", "*.vault.azure.net", Some("*.vault.azure.net")),
            ("api.weather.example", "management.azure.com", None),
            ("*.azure.net", "*.vault.azure.net", None),
            ("*.z##.azure.net", "a.*.azure.net", Some("a.z##.azure.net")),
            ("*.z##.azure.net", "*.z1#.azure.net", Some("*.z1#.azure.net")),
            ("*.z#2.azure.net", "*.z1#.azure.net", Some("*.z12.azure.net")),
            ("*.z##.azure.net", "*.zab.azure.net", None),
            ("*.<hex>.azure.net", "*.*.azure.net", Some("*.<hex>.azure.net")),
            ("*.<hex>.azure.net", "a.b##.azure.net", Some("a.b##.azure.net")),
            ("<hex>.<hex>.azure.net", "*.<hex>.azure.net", Some("<hex>.<hex>.azure.net")),
            ("*.<hex>.azure.net", "*.vault.azure.net", None),
            ("*.z##.azure.net", "*.z1.azure.net", None),
        ] {
            let both = both.map(pattern);
            assert_eq!(pattern(one).intersection(&pattern(two)), both, "{one} and {two}");
            assert_eq!(pattern(two).intersection(&pattern(one)), both, "{two} and {one}");
        }
    }

    #[test]
    fn a_pattern_for_a_whole_domain_of_others_is_invalid() {
        for text in [
            "*",
            "*.net",
            "",
            "a.*.net",
            "*vault.azure.net",
            "*.Vault.net",
            "*..net",
            "**.azure.net",
            "*.z#.net",
            "#.net",
            "*.a.b#",
            "-#.azure.net",
            "a.<hex>.net",
            "a<hex>.azure.net",
            "<dec>.azure.net",
            "*.*",
            "a.b.*",
        ] {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_label_has_1_to_63_characters_and_no_hyphen_at_its_ends() {
        for label in ["a", "7", "a-b", "xn--a", &"a".repeat(63)] {
            assert!(is_label(label), "{label}");
        }
        for label in ["", "-", "-a", "a-", "A", "a_b", "a.b", "\u{e4}", &"a".repeat(64)] {
            assert!(!is_label(label), "{label}");
        }
    }
}
