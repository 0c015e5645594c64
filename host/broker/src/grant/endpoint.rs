//! The one origin, and path prefix, that a mount talks to for an audience.

use std::fmt;

use super::NormalPath;

/// An origin and a path prefix. The scheme is always `https`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Endpoint {
    /// The host, in lower case, without a dot at its end.
    pub host: String,
    /// The port; 443 where none was written.
    pub port: u16,
    /// What all paths begin with: empty, or a slash and more, without a slash at its end.
    pub prefix: String,
}

/// A text that is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct InvalidEndpoint {
    why: &'static str,
}

impl Endpoint {
    /// Reads `https://host[:port][/prefix]`.
    ///
    /// # Errors
    ///
    /// Anything else: another scheme, user information, a query, a fragment, a path that can be read two ways.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        let invalid = |why| Err(InvalidEndpoint { why });
        let Some(rest) = text.strip_prefix("https://") else { return invalid("it does not begin with https://") };
        if rest.contains(['?', '#']) {
            return invalid("it has a query or a fragment");
        }
        let (authority, prefix) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        if authority.contains('@') {
            return invalid("it has user information");
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => match port.parse() {
                Ok(port) if port > 0 => (host, port),
                _ => return invalid("its port is none"),
            },
            _ => (authority, 443),
        };
        let is_name = host.split('.').all(is_label) && host.len() <= 253;
        if !is_name {
            return invalid("its host is no name in lower case");
        }
        let prefix = prefix.trim_end_matches('/');
        if !prefix.is_empty() && NormalPath::parse(prefix).map_or(true, |normal| normal.as_str() != prefix) {
            return invalid("its path can be read in more than one way");
        }
        Ok(Self { host: host.to_owned(), port, prefix: prefix.to_owned() })
    }

    /// The host, and the port where it is not 443: what stands in a `host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == 443 { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.authority(), self.prefix)
    }
}

/// A label of a host name: letters in lower case, digits, hyphens within.
pub(super) fn is_label(label: &str) -> bool {
    let fits = (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
    fits && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_https_origin_with_a_prefix() {
        let endpoint = Endpoint::parse("https://contoso.vault.azure.net").unwrap();
        assert_eq!(
            (endpoint.host.as_str(), endpoint.port, endpoint.prefix.as_str()),
            ("contoso.vault.azure.net", 443, "")
        );
        let endpoint = Endpoint::parse("https://localhost:10000/devstoreaccount1/").unwrap();
        assert_eq!((endpoint.port, endpoint.prefix.as_str()), (10000, "/devstoreaccount1"));
        assert_eq!(endpoint.to_string(), "https://localhost:10000/devstoreaccount1");
    }

    #[test]
    fn nothing_else_is_one() {
        for text in [
            "http://contoso.vault.azure.net",
            "contoso.vault.azure.net",
            "https://",
            "https://user@contoso.vault.azure.net",
            "https://contoso.vault.azure.net.",
            "https://Contoso.vault.azure.net",
            "https://contoso..net",
            "https://contoso.vault.azure.net:0",
            "https://contoso.vault.azure.net:99999",
            "https://contoso.vault.azure.net:x",
            "https://contoso.vault.azure.net?x",
            "https://contoso.vault.azure.net#x",
            "https://contoso.vault.azure.net/a/../b",
            "https://contoso.vault.azure.net/a//b",
            "https://contoso.vault.azure.net/a%2fb",
            "https://[::1]:443",
            "https://contoso vault",
        ] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }
}
