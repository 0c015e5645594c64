//! The one origin, and path prefix, that a mount talks to for an audience.

use std::fmt;

use crate::host_pattern::is_label;
use crate::path::NormalPath;

/// What is spoken at an endpoint. Both within TLS, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP.
    #[default]
    Https,
    /// TDS, the protocol of SQL Server. The scheme is the one that drivers have for it.
    SqlServer,
}

impl Protocol {
    /// The scheme of its endpoints.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::SqlServer => "sqlserver",
        }
    }

    /// The port where none is written.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::SqlServer => 1433,
        }
    }
}

/// What is spoken, an origin, and a path prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// What is spoken there.
    pub protocol: Protocol,
    /// The host, in lower case, without a dot at its end.
    pub host: String,
    /// The port; the protocol's where none was written.
    pub port: u16,
    /// What all paths begin with: empty, or a slash and more, without a slash at its end. Empty for
    /// a database server.
    pub prefix: String,
}

/// A text that is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct InvalidEndpoint {
    why: &'static str,
}

impl Endpoint {
    /// Reads `https://host[:port][/prefix]`, or `sqlserver://host[:port]`.
    ///
    /// # Errors
    ///
    /// Anything else: another scheme, user information, a query, a fragment, a path that can be
    /// read two ways.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        let invalid = |why| Err(InvalidEndpoint { why });
        let schemes = [Protocol::Https, Protocol::SqlServer].into_iter().find_map(|protocol| {
            let rest = text.strip_prefix(protocol.scheme())?.strip_prefix("://")?;
            Some((protocol, rest))
        });
        let Some((protocol, rest)) = schemes else {
            return invalid("it begins with neither https:// nor sqlserver://");
        };
        if rest.contains(['?', '#']) {
            return invalid("it has a query or a fragment");
        }
        let (authority, prefix) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        if authority.contains('@') {
            return invalid("it has user information");
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                match port.parse() {
                    Ok(port) if port > 0 => (host, port),
                    _ => return invalid("its port is invalid"),
                }
            }
            _ => (authority, protocol.port()),
        };
        let is_name = host.split('.').all(is_label) && host.len() <= 253;
        if !is_name {
            return invalid("its host must be a lowercase DNS name");
        }
        let prefix = prefix.trim_end_matches('/');
        if !prefix.is_empty()
            && NormalPath::parse(prefix).map_or(true, |normal| normal.as_str() != prefix)
        {
            return invalid("ambiguous path");
        }
        if protocol == Protocol::SqlServer && !prefix.is_empty() {
            return invalid(
                "it has a path, and a database is named elsewhere: in the plugin's settings",
            );
        }
        Ok(Self { protocol, host: host.to_owned(), port, prefix: prefix.to_owned() })
    }

    /// The host, and the port where it is not the usual one: what stands in a `host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.protocol.port() {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.protocol.scheme(), self.authority(), self.prefix)
    }
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
    fn a_database_server_has_a_scheme_and_a_port_of_its_own() {
        let endpoint = Endpoint::parse("sqlserver://contoso.database.windows.net").unwrap();
        assert_eq!((endpoint.protocol, endpoint.port), (Protocol::SqlServer, 1433));
        assert_eq!(endpoint.to_string(), "sqlserver://contoso.database.windows.net");
        let endpoint = Endpoint::parse("sqlserver://sql.contoso.example:14330").unwrap();
        assert_eq!(endpoint.to_string(), "sqlserver://sql.contoso.example:14330");
        assert!(Endpoint::parse("sqlserver://contoso.database.windows.net/shop").is_err());
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
