//! `[listen]`: where callers reach the daemon.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use keyward_policy::diagnostic::Diagnostic;
use keyward_policy::document::{Section, Unfit};

use crate::{directories, sockets};

/// The value of `tcp_callers`: the words that say that whoever can open a connection on this machine may call.
const ANYBODY: &str = "anybody-on-this-machine";

/// What an address of the daemon's must be.
const LOOPBACK: &str = "a loopback address and a port";

/// `[listen]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    pub(crate) socket: Option<PathBuf>,
    /// The socket's permissions.
    pub(crate) mode: u32,
    pub(crate) tcp: Option<SocketAddr>,
    pub(crate) tls: Option<ListenTls>,
    /// The most connections at once.
    pub(crate) connections: u32,
}

/// `[listen.tls]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenTls {
    pub(crate) address: SocketAddr,
    pub(crate) pair: Pair,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    /// In these files.
    Files { certificate: PathBuf, key: PathBuf },
    /// The daemon's own, made in this directory.
    Made { directory: PathBuf },
}

pub(super) fn listen(root: &Section<'_>, base: &Path) -> Listen {
    let section = root.section("listen");
    let socket = section.text("socket", "/run/keyward/keyward.sock");
    let expected = "\"0600\", or \"0660\" to let the socket's group call";
    let mode = section.parsed("mode", expected, "0600", |text| {
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| mode & !0o770 == 0 && mode & 0o600 == 0o600);
        mode.ok_or_else(Unfit::default)
    });
    let tcp = section.parsed("tcp", LOOPBACK, "127.0.0.1:8200", loopback);
    let callers = section.word("tcp_callers", &[(ANYBODY, ())]);
    match (&tcp, &callers) {
        (Some(tcp), None) if section.key_place("tcp_callers").is_none() => {
            let message =
                format!("`tcp` in {} lets every process on this machine call, regardless of user", section.header());
            let write = format!("tcp_callers = \"{ANYBODY}\"");
            section.push(Diagnostic::new(tcp.place.clone(), message).help("confirm it explicitly").write(write));
        }
        (None, Some(callers)) => {
            let message = format!("`tcp_callers` in {} without `tcp`", section.header());
            section.push(Diagnostic::new(callers.place.clone(), message).write("tcp = \"127.0.0.1:8200\""));
        }
        _ => {}
    }
    let connections = section.number("connections", 1, 100_000, 4096).map_or(4096, |number| number.value);
    let tls = tls(&section, base);
    section.finish();
    let socket = socket.map(|socket| base.join(socket.value));
    let tcp = tcp.map(|tcp| tcp.value);
    Listen {
        // A Unix socket is the default: only the kernel can say who calls.
        socket: if socket.is_none() && tcp.is_none() && tls.is_none() && cfg!(unix) {
            Some(sockets::default_socket())
        } else {
            socket
        },
        mode: mode.map_or(0o600, |mode| mode.value),
        tcp,
        tls,
        connections: u32::try_from(connections).unwrap_or(u32::MAX),
    }
}

fn loopback(text: &str) -> Result<SocketAddr, Unfit> {
    let address = text.parse::<SocketAddr>().ok().filter(|address| address.ip().is_loopback());
    address.ok_or_else(Unfit::default)
}

fn default_tls_directory() -> PathBuf {
    directories::state().map_or_else(|| PathBuf::from("/var/lib/keyward/tls"), |state| state.join("tls"))
}

fn tls(listen: &Section<'_>, base: &Path) -> Option<ListenTls> {
    let section = listen.section("tls");
    if !section.is_there() {
        return None;
    }
    let address = section.parsed("address", LOOPBACK, "127.0.0.1:8443", loopback);
    let callers = section.word("callers", &[(ANYBODY, ())]);
    let certificate = section.text("certificate", "server.pem");
    let key = section.text("key", "server.key");
    let directory = section.text("directory", "/var/lib/keyward/tls");
    if address.is_none() && section.key_place("address").is_none() {
        let message = format!("{} has no `address`", section.header());
        let diagnostic = Diagnostic::new(section.place(), message).expected(LOOPBACK);
        section.push(diagnostic.write("address = \"127.0.0.1:8443\""));
    }
    if callers.is_none() && section.key_place("callers").is_none() {
        let message = format!("{} lets every process on this machine call, regardless of user", section.header());
        let write = format!("callers = \"{ANYBODY}\"");
        section.push(Diagnostic::new(section.place(), message).help("confirm it explicitly").write(write));
    }
    let pair = match (certificate, key, directory) {
        (Some(certificate), Some(key), None) => {
            Pair::Files { certificate: base.join(certificate.value), key: base.join(key.value) }
        }
        (None, None, directory) => {
            let directory = directory.map(|directory| base.join(directory.value));
            Pair::Made { directory: directory.unwrap_or_else(default_tls_directory) }
        }
        _ => {
            let message = format!("{} needs both `certificate` and `key`", section.header());
            let expected = "`certificate` and `key`, or neither, and then perhaps the `directory` where they are made";
            section.push(Diagnostic::new(section.place(), message).expected(expected));
            return None;
        }
    };
    section.finish();
    Some(ListenTls { address: address?.value, pair })
}
