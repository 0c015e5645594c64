//! What a listener knows of the requests that are meant for it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::config::Origin;

/// A listener, as its callers reach it.
#[derive(Clone, Debug)]
pub(super) enum Site {
    /// A Unix socket, which no web page reaches.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no such listener"))]
    Unix,
    /// A loopback address, which every page that a browser on this machine shows can reach.
    Loopback(Arc<Loopback>),
}

/// A listener at a loopback address.
#[derive(Debug)]
pub(super) struct Loopback {
    /// `http` or `https`.
    pub(super) scheme: &'static str,
    pub(super) port: u16,
    /// The origins whose pages may call.
    pub(super) origins: Vec<Origin>,
}

impl Site {
    pub(super) fn loopback(scheme: &'static str, address: SocketAddr, origins: &[Origin]) -> Self {
        let (port, origins) = (address.port(), origins.to_vec());
        Self::Loopback(Arc::new(Loopback { scheme, port, origins }))
    }

    /// The scheme of its URLs.
    pub(super) fn scheme(&self) -> &'static str {
        match self {
            Self::Unix => "http",
            Self::Loopback(loopback) => loopback.scheme,
        }
    }
}

impl Loopback {
    /// Whether a host and a port lead to this listener. Without a port, it is the scheme's.
    pub(super) fn is_at(&self, host: &str, port: Option<u16>) -> bool {
        let default = if self.scheme == "https" { 443 } else { 80 };
        is_loopback_name(host) && port.unwrap_or(default) == self.port
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
        let at = |scheme, port| Loopback { scheme, port, origins: Vec::new() };
        assert!(at("http", 8200).is_at("localhost", Some(8200)));
        assert!(!at("http", 8200).is_at("localhost", Some(8201)));
        assert!(!at("http", 8200).is_at("localhost", None));
        assert!(at("http", 80).is_at("localhost", None));
        assert!(at("https", 443).is_at("[::1]", None));
        assert!(!at("https", 80).is_at("localhost", None));
    }
}
