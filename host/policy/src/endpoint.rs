//! The one origin, and path prefix, that a mount talks to for an audience.

use std::fmt;

use http::uri::PathAndQuery;

use crate::host_pattern::is_label;
use crate::path::NormalPath;

/// The protocol of an endpoint, always over TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP.
    #[default]
    Https,
    /// TDS, the protocol of SQL Server. Its scheme is that of SQL Server's drivers.
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

    /// The default port.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::SqlServer => 1433,
        }
    }
}

/// A protocol, a host, a port and a path prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The protocol.
    pub protocol: Protocol,
    /// The host, in lower case, without a dot at its end.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The prefix of all paths: empty, or a path without a slash at its end. Empty for a database
    /// server.
    pub prefix: String,
}

/// A string that is not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidEndpoint {
    reason: &'static str,
}

impl Endpoint {
    /// Parses `https://host[:port][/prefix]`, or `sqlserver://host[:port]`.
    ///
    /// # Errors
    ///
    /// Anything else: another scheme, user information, a query, a fragment, an ambiguous path.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        let invalid = |reason| Err(InvalidEndpoint { reason });
        let scheme = [Protocol::Https, Protocol::SqlServer].into_iter().find_map(|protocol| {
            let rest = text.strip_prefix(protocol.scheme())?.strip_prefix("://")?;
            Some((protocol, rest))
        });
        let Some((protocol, rest)) = scheme else {
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
        if !prefix.is_empty() && PathAndQuery::try_from(prefix).is_err() {
            return invalid("its path has a character that must be percent-encoded");
        }
        if protocol == Protocol::SqlServer && !prefix.is_empty() {
            return invalid("it has a path; the database is selected in the plugin's settings");
        }
        Ok(Self { protocol, host: host.to_owned(), port, prefix: prefix.to_owned() })
    }

    /// The host, and the port if it is not the default: the value of a `host` header field.
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
    fn anything_else_is_invalid() {
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
            "https://contoso.vault.azure.net/a b",
            "https://contoso.vault.azure.net/<tenant>",
            "https://[::1]:443",
            "https://contoso vault",
        ] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_is_only_digits_and_a_host_has_at_most_253_characters() {
        for port in ["+443", "-1", "", " 443", "443 ", "65536"] {
            assert!(Endpoint::parse(&format!("https://a.example:{port}")).is_err(), "{port:?}");
        }
        assert_eq!(Endpoint::parse("https://a.example:65535").unwrap().port, 65535);
        let host = |last: usize| format!("{}{}", "a123456789.".repeat(23), "a".repeat(last));
        assert_eq!(host(0).len(), 253);
        let of = |length: usize| format!("{}{}", "b".repeat(length - 252), &host(0)[..252]);
        assert!(Endpoint::parse(&format!("https://{}", of(253))).is_ok());
        assert!(Endpoint::parse(&format!("https://{}", of(254))).is_err());
    }

    #[test]
    fn the_authority_has_the_port_unless_it_is_the_default() {
        let authority = |text| Endpoint::parse(text).unwrap().authority();
        assert_eq!(authority("https://a.example:443/x"), "a.example");
        assert_eq!(authority("https://a.example:1433"), "a.example:1433");
        assert_eq!(authority("sqlserver://a.example:1433"), "a.example");
        assert_eq!(authority("sqlserver://a.example:443"), "a.example:443");
    }
}
