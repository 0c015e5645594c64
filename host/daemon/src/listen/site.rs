//! What a listener knows of the requests that are meant for it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::config::{Origin, SiteName};

/// A listener, as its callers reach it.
#[derive(Clone, Debug)]
pub(super) enum Site {
    /// A Unix socket, which no web page reaches.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no such listener"))]
    Unix,
    /// An address and a port, which every page that a browser on this machine shows can reach.
    Tcp(Arc<TcpSite>),
}

/// A listener at an address and a port.
#[derive(Debug)]
pub(super) struct TcpSite {
    /// `http` or `https`.
    pub(super) scheme: &'static str,
    pub(super) port: u16,
    /// Whether only programs of this machine can reach it.
    pub(super) is_loopback: bool,
    /// The names by which callers reach it, beside loopback names.
    pub(super) names: Vec<SiteName>,
    /// The origins whose pages may call.
    pub(super) origins: Vec<Origin>,
}

impl Site {
    /// A listener at an address.
    pub(super) fn tcp(
        scheme: &'static str,
        address: SocketAddr,
        names: &[SiteName],
        origins: &[Origin],
    ) -> Self {
        Self::Tcp(Arc::new(TcpSite {
            scheme,
            port: address.port(),
            is_loopback: address.ip().is_loopback(),
            names: names.to_vec(),
            origins: origins.to_vec(),
        }))
    }

    /// Whether programs of other machines can reach it.
    pub(super) fn is_remote(&self) -> bool {
        match self {
            Self::Unix => false,
            Self::Tcp(site) => !site.is_loopback,
        }
    }

    /// The scheme of its URLs.
    pub(super) fn scheme(&self) -> &'static str {
        match self {
            Self::Unix => "http",
            Self::Tcp(site) => site.scheme,
        }
    }
}

impl TcpSite {
    /// Whether a host and a port lead to this listener. Without a port, it is the scheme's.
    pub(super) fn is_at(&self, host: &str, port: Option<u16>) -> bool {
        let port = port.unwrap_or(if self.scheme == "https" { 443 } else { 80 });
        let is_named = |name: &SiteName| {
            name.host.eq_ignore_ascii_case(host) && port == name.port.unwrap_or(self.port)
        };
        is_loopback_name(host) && port == self.port || self.names.iter().any(is_named)
    }

    /// A host and a port that lead to this listener.
    pub(super) fn example(&self) -> String {
        match self.names.first() {
            Some(SiteName { host, port }) => format!("{host}:{}", port.unwrap_or(self.port)),
            None => format!("localhost:{}", self.port),
        }
    }
}

/// Whether a host is `localhost`, a name below it, or a loopback address.
fn is_loopback_name(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').and_then(|ip| ip.parse::<Ipv6Addr>().ok());
        return address.is_some_and(|ip| ip.is_loopback());
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return address.is_loopback();
    }
    let name = host.to_ascii_lowercase();
    name == "localhost" || name.strip_suffix(".localhost").is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_and_addresses_are_accepted() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]", "a.b.localhost"] {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "evillocalhost",
            ".localhost",
            "localhost.",
            "127.0.0.1.evil.example",
            "127.0.0.1.",
            "169.254.169.254",
            "127.1",
            "0127.0.0.1",
            "2130706433",
            "0.0.0.0",
            "::1",
            "[::1",
            "[::]",
            "[::ffff:127.0.0.1]",
            "",
        ] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }

    #[test]
    fn a_listener_is_at_its_own_port_or_at_that_of_its_scheme() {
        let at = |scheme, port| TcpSite {
            scheme,
            port,
            is_loopback: true,
            names: Vec::new(),
            origins: Vec::new(),
        };
        assert!(at("http", 8200).is_at("localhost", Some(8200)));
        assert!(!at("http", 8200).is_at("localhost", Some(8201)));
        assert!(!at("http", 8200).is_at("localhost", None));
        assert!(at("http", 80).is_at("localhost", None));
        assert!(at("https", 443).is_at("[::1]", None));
        assert!(!at("https", 80).is_at("localhost", None));
    }

    #[test]
    fn a_configured_name_leads_to_a_listener_with_its_own_port_or_the_listeners() {
        let name = |host: &str, port| SiteName { host: host.to_owned(), port };
        let site = TcpSite {
            scheme: "https",
            port: 8443,
            is_loopback: false,
            names: vec![name("keyward.infra.svc", Some(443)), name("10.0.0.7", None)],
            origins: Vec::new(),
        };
        assert!(site.is_at("Keyward.infra.svc", None));
        assert!(site.is_at("keyward.infra.svc", Some(443)));
        assert!(site.is_at("10.0.0.7", Some(8443)));
        assert!(site.is_at("localhost", Some(8443)));
        assert!(!site.is_at("keyward.infra.svc", Some(8443)));
        assert!(!site.is_at("10.0.0.7", None));
        assert!(!site.is_at("evil.example", Some(8443)));
    }
}
