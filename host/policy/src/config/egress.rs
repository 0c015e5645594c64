//! `[egress]` and `[tls]`: how requests leave, and whom they trust.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::address::forbidden_even_if_resolved;
use crate::diagnostic::{Diagnostic, Located};
use crate::document::{Section, Unfit};

/// How requests leave.
#[derive(Clone, Debug)]
pub struct EgressConfig {
    /// Addresses for hosts and ports, in place of what the name service says.
    pub resolve: BTreeMap<(String, u16), SocketAddr>,
    /// How long a connection may take, TLS included.
    pub connect_timeout: Duration,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self { resolve: BTreeMap::new(), connect_timeout: Duration::from_secs(10) }
    }
}

/// Whom TLS trusts.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// Files of certificates in PEM, beside the system's.
    pub ca_files: Vec<Located<PathBuf>>,
    /// Certificates in PEM, beside those.
    pub ca_pem: Vec<String>,
    /// Whether the system's certificates are trusted.
    pub system_roots: bool,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { ca_files: Vec::new(), ca_pem: Vec::new(), system_roots: true }
    }
}

pub(super) fn read_egress(root: &Section<'_>) -> EgressConfig {
    let section = root.section("egress");
    let mut config = EgressConfig::default();
    let resolve = section.section("resolve");
    for name in resolve.names() {
        let from = host_and_port(&name.value);
        if from.is_none() {
            let message = format!("`{}` in [egress.resolve] is not a host and port", name.value);
            let write = format!("\"{}:443\" = \"127.0.0.1:8443\"", name.value.split(':').next().unwrap_or_default());
            resolve.push(Diagnostic::new(name.place.clone(), message).expected("\"host:port\"").write(write));
        }
        let to = resolve.parsed(&name.value, "an IP address and a port", "127.0.0.1:8443", |text| {
            text.parse::<SocketAddr>().map_err(|_| Unfit::default())
        });
        let (Some(from), Some(to)) = (from, to) else { continue };
        if let Some(why) = forbidden_even_if_resolved(to.value.ip()) {
            let message = format!("[egress.resolve] may not lead to {}, {why}", to.value.ip());
            resolve.push(Diagnostic::new(to.place, message).expected("another address"));
        } else {
            config.resolve.insert(from, to.value);
        }
    }
    resolve.finish();
    let (least, most) = (Duration::from_millis(10), Duration::from_secs(300));
    if let Some(timeout) = section.duration("connect_timeout", least, most, "10s") {
        config.connect_timeout = timeout.value;
    }
    section.finish();
    config
}

pub(super) fn read_tls(root: &Section<'_>, base: &Path) -> TlsConfig {
    let section = root.section("tls");
    let mut config = TlsConfig::default();
    if let Some(files) = section.texts("ca_files", "ca.pem") {
        let files = files.value.into_iter();
        config.ca_files = files.map(|file| Located { value: base.join(file.value), place: file.place }).collect();
    }
    if let Some(system_roots) = section.boolean("system_roots") {
        config.system_roots = system_roots.value;
    }
    section.finish();
    config
}

fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    let is_host = crate::host_pattern::HostPattern::parse(host).is_ok_and(|pattern| pattern.only_host().is_some());
    is_host.then(|| (host.to_owned(), port))
}
