//! `[egress]` and `[tls]`: connections to services, and the certificates that they trust.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::address::forbidden_even_if_resolved;
use crate::diagnostic::{Diagnostic, Spanned};
use crate::document::{InvalidValue, Key, Section, SectionKeys, WithDefault};

/// Connections to services and identity endpoints.
#[derive(Clone, Debug)]
pub struct EgressConfig {
    /// Addresses for hosts and ports, in place of DNS.
    pub resolve: BTreeMap<(String, u16), SocketAddr>,
    /// Timeout for establishing a connection, TLS included.
    pub connect_timeout: Duration,
}

const CONNECT_TIMEOUT: WithDefault<Duration> = WithDefault::<Duration>::duration(
    "connect_timeout",
    (Duration::from_millis(10), Duration::from_secs(300)),
    Duration::from_secs(10),
    "how long establishing a connection may take, TLS included",
);

/// `[egress]`.
pub(super) const EGRESS: SectionKeys = SectionKeys::new(
    &["egress"],
    "Connections to services and identity endpoints.",
    &[&CONNECT_TIMEOUT.key],
);

const RESOLVED: Key = Key::form(
    "HOST:PORT",
    "an IP address and a port",
    Some(r"^(\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:.]+\]):\d+$"),
    "127.0.0.1:8443",
    "the address and port to connect to, for this host in lower case and this port",
);

/// `[egress.resolve]`.
pub(super) const RESOLVE: SectionKeys = SectionKeys::new(
    &["egress", "resolve"],
    "Addresses in place of DNS. They apply to identity endpoints too.",
    &[],
)
.entries(&RESOLVED);

impl Default for EgressConfig {
    fn default() -> Self {
        Self { resolve: BTreeMap::new(), connect_timeout: CONNECT_TIMEOUT.default }
    }
}

/// TLS trust anchors.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// Files of trusted certificates in PEM, in addition to the system's.
    pub ca_files: Vec<Spanned<PathBuf>>,
    /// Trusted certificates in PEM, in addition to those.
    pub ca_pem: Vec<String>,
    /// Whether the system's certificates are trusted.
    pub system_roots: bool,
}

const CA_FILES: Key = Key::strings(
    "ca_files",
    "ca.pem",
    "files of certificates in PEM that are trusted, in addition to the system's",
);
const SYSTEM_ROOTS: WithDefault<bool> = WithDefault::<bool>::boolean(
    "system_roots",
    true,
    "whether the system's certificates are trusted",
);

/// `[tls]`.
pub(super) const TLS: SectionKeys = SectionKeys::new(
    &["tls"],
    "TLS trust anchors for services and identity endpoints.",
    &[&CA_FILES, &SYSTEM_ROOTS.key],
);

impl Default for TlsConfig {
    fn default() -> Self {
        let system_roots = SYSTEM_ROOTS.default;
        Self { ca_files: Vec::new(), ca_pem: Vec::new(), system_roots }
    }
}

pub(super) fn read_egress(root: &Section<'_>) -> EgressConfig {
    let section = root.section(&EGRESS);
    let mut config = EgressConfig::default();
    let resolve = section.section(&RESOLVE);
    for name in resolve.names() {
        let from = host_and_port(&name.value);
        if from.is_none() {
            let message = format!("`{}` in [egress.resolve] is not a host and port", name.value);
            let write = format!(
                "\"{}:443\" = \"127.0.0.1:8443\"",
                name.value.split(':').next().unwrap_or_default()
            );
            resolve.push(
                Diagnostic::new(name.location.clone(), message)
                    .expected("\"host:port\"")
                    .write(write),
            );
        }
        let to = resolve.parsed_entry(&name.value, &RESOLVED, |text| {
            text.parse::<SocketAddr>().map_err(|_| InvalidValue::default())
        });
        let (Some(from), Some(to)) = (from, to) else { continue };
        if let Some(reason) = forbidden_even_if_resolved(to.value.ip()) {
            let message = format!("[egress.resolve] may not lead to {}, {reason}", to.value.ip());
            resolve.push(Diagnostic::new(to.location, message).expected("another address"));
        } else {
            config.resolve.insert(from, to.value);
        }
    }
    resolve.finish();
    config.connect_timeout = section.duration_or_default(&CONNECT_TIMEOUT);
    section.finish();
    config
}

pub(super) fn read_tls(root: &Section<'_>, base: &Path) -> TlsConfig {
    let section = root.section(&TLS);
    let config = TlsConfig {
        ca_files: section.paths(&CA_FILES, base),
        system_roots: section.boolean_or_default(&SYSTEM_ROOTS),
        ..TlsConfig::default()
    };
    section.finish();
    config
}

fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    let is_host = crate::host_pattern::HostPattern::parse(host)
        .is_ok_and(|pattern| pattern.only_host().is_some());
    is_host.then(|| (host.to_owned(), port))
}
