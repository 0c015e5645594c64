//! Host patterns: the hosts that a manifest or the cloud table knows for an audience.

use std::fmt;

use crate::cloud::{is_host_of, is_label};

/// A host, of which whole labels may be `*`, standing for one label each: `*.vault.azure.net`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern(String);

/// A text that is no host pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no host pattern: expected a host name in lower case, of which the first labels may be *, such as \
     \"*.vault.azure.net\", with at least two labels written out"
)]
pub struct InvalidHostPattern(String);

impl HostPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// Anything but a host name whose first labels may be `*`. The last two labels must be written out, since a pattern
    /// such as `*.net` would be everybody's. A host of one label, such as `localhost`, stands for itself.
    pub fn parse(text: &str) -> Result<Self, InvalidHostPattern> {
        let invalid = || InvalidHostPattern(text.to_owned());
        let stars = text.split('.').take_while(|label| *label == "*").count();
        let written: Vec<&str> = text.split('.').skip(stars).collect();
        let enough = stars == 0 || written.len() >= 2;
        if enough && !written.is_empty() && written.iter().all(|label| is_label(label)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(invalid())
        }
    }

    /// Whether a host is one of these.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        is_host_of(&self.0, host)
    }

    /// The hosts that are both of this pattern and of another; `None` where there are none.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let (mut one, mut two, mut both) = (self.0.split('.'), other.0.split('.'), Vec::new());
        loop {
            match (one.next(), two.next()) {
                (None, None) => return Some(Self(both.join("."))),
                (Some("*"), Some(label)) | (Some(label), Some("*")) => both.push(label),
                (Some(label), Some(same)) if label == same => both.push(label),
                _ => return None,
            }
        }
    }

    /// The one host that it stands for, where there is no `*` in it.
    #[must_use]
    pub fn only_host(&self) -> Option<&str> {
        (!self.0.contains('*')).then_some(self.0.as_str())
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_label() {
        let pattern = HostPattern::parse("*.vault.azure.net").unwrap();
        assert!(pattern.matches("contoso.vault.azure.net"));
        for host in ["vault.azure.net", "a.b.vault.azure.net", "contoso.vault.azure.net.evil", ".vault.azure.net"] {
            assert!(!pattern.matches(host), "{host}");
        }
        assert_eq!(HostPattern::parse("management.azure.com").unwrap().only_host(), Some("management.azure.com"));
    }

    #[test]
    fn an_intersection_has_the_hosts_of_both() {
        let pattern = |text: &str| HostPattern::parse(text).unwrap();
        for (one, two, both) in [
            ("*.azure.com", "management.azure.com", Some("management.azure.com")),
            ("*.*.azure.net", "*.vault.azure.net", Some("*.vault.azure.net")),
            ("api.weather.example", "management.azure.com", None),
            ("*.azure.net", "*.vault.azure.net", None),
        ] {
            let both = both.map(pattern);
            assert_eq!(pattern(one).intersection(&pattern(two)), both, "{one} and {two}");
            assert_eq!(pattern(two).intersection(&pattern(one)), both, "{two} and {one}");
        }
    }

    #[test]
    fn a_pattern_for_everybody_is_refused() {
        for text in ["*", "*.net", "", "a.*.net", "*vault.azure.net", "*.Vault.net", "*..net", "**.azure.net"] {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
    }
}
