//! The daemon's Unix socket: its default path, and connections to it.

#[cfg(unix)]
use std::io;
#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;

use crate::environment;

/// The default socket without `XDG_RUNTIME_DIR`.
pub(crate) const SYSTEM_SOCKET: &str = "/run/keyward/keyward.sock";

/// `keyward/keyward.sock` in `XDG_RUNTIME_DIR`, or else [`SYSTEM_SOCKET`].
pub(crate) fn default_socket() -> PathBuf {
    match environment::path("XDG_RUNTIME_DIR") {
        Some(directory) => directory.join("keyward/keyward.sock"),
        None => PathBuf::from(SYSTEM_SOCKET),
    }
}

/// Connects to a daemon's socket.
#[cfg(unix)]
#[allow(clippy::disallowed_methods, reason = "the command line's connection to a daemon")]
pub(crate) async fn connect(socket: &Path) -> io::Result<tokio::net::UnixStream> {
    tokio::net::UnixStream::connect(socket).await
}

/// Connects to a daemon's socket and disconnects, to find out whether a process listens there.
///
/// # Errors
///
/// No process listens there, or this user may not connect.
#[cfg(unix)]
#[allow(clippy::disallowed_methods, reason = "nothing is sent")]
pub(crate) fn probe(socket: &Path) -> io::Result<()> {
    std::os::unix::net::UnixStream::connect(socket).map(drop)
}
