//! Who is at the other end of a connection, as the kernel or TLS proves it.
//!
//! - [`of_unix_socket`]: user, groups and systemd unit of a process that connected to a Unix
//!   socket.
//! - [`SocketOwners`]: user of the process that connected to a loopback TCP port.
//! - [`ClientCertificate`]: names in a client certificate that [`client_verifier`] has accepted,
//!   and until when they are valid.
//!
//! What cannot be proven is `None`, and matches nothing. The kernel knows the process that made the
//! connection: a child that inherits it, or a process that receives it over another socket, acts as
//! that process.

mod certificate;
mod known_id;
#[cfg(target_os = "linux")]
mod procfs;
#[cfg(target_os = "linux")]
mod sock_diag;
#[cfg(target_os = "linux")]
mod sockopt;
#[cfg(target_os = "linux")]
mod tcp_socket;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod test_process;
#[cfg(not(target_os = "linux"))]
mod unavailable;
#[cfg(target_os = "linux")]
mod unit;
#[cfg(target_os = "linux")]
mod unit_name;
#[cfg(target_os = "linux")]
mod unix_socket;

pub(crate) use certificate::{CertificateNames, ClientCertificate, client_verifier};
pub(crate) use known_id::known;
#[cfg(target_os = "linux")]
pub(crate) use tcp_socket::SocketOwners;
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) use unavailable::of_unix_socket;
#[cfg(not(target_os = "linux"))]
pub(crate) use unavailable::{SocketOwners, UnitProof, check_units};
#[cfg(target_os = "linux")]
pub(crate) use unit::{UnitProof, check as check_units};
#[cfg(target_os = "linux")]
pub(crate) use unix_socket::of as of_unix_socket;

/// A process that connected to a Unix socket.
#[cfg(unix)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Process {
    /// Effective user when it connected. `None` if it has no id in the daemon's user namespace.
    pub(crate) uid: Option<u32>,
    /// Effective group when it connected.
    pub(crate) gid: Option<u32>,
    /// Supplementary groups when it connected, without those of other user namespaces.
    pub(crate) groups: Vec<u32>,
    /// `None` if it is not visible in the daemon's PID namespace. For the log: another process may
    /// have the same id later.
    pub(crate) pid: Option<i32>,
    /// Systemd unit, such as `web.service`. `None` if it was not asked for, or is not proven.
    pub(crate) unit: Option<String>,
}
