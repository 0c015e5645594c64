//! What only Linux can prove.

use std::fmt;
use std::io;

#[cfg(unix)]
use super::Process;

/// Why the unit of a process is not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoUnit;

impl NoUnit {
    /// What to do about it.
    pub(crate) fn help(&self) -> Option<&'static str> {
        Some("remove `unit`")
    }
}

impl fmt::Display for NoUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("only Linux has systemd units")
    }
}

impl std::error::Error for NoUnit {}

/// How units of other processes are proved on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "units are not proved here")]
pub(crate) enum UnitProof {
    /// By a handle of the process that connected.
    Handle,
    /// By its id and its start time.
    StartTime,
}

/// Fails: there are no systemd units.
pub(crate) fn check_units() -> Result<UnitProof, NoUnit> {
    Err(NoUnit)
}

/// Fails: only Linux is supported.
#[cfg(unix)]
pub(crate) fn of_unix_socket<S>(_socket: &S, _want_unit: bool) -> io::Result<Process> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux reports groups of callers"))
}

/// Cannot be opened: only Linux reports owners of TCP sockets.
#[derive(Debug)]
pub(crate) struct SocketOwners(std::convert::Infallible);

impl SocketOwners {
    /// # Errors
    ///
    /// Always.
    pub(crate) fn open(_listener: std::net::SocketAddr) -> io::Result<Self> {
        let error = "only Linux reports which user owns a TCP connection";
        Err(io::Error::new(io::ErrorKind::Unsupported, error))
    }

    /// Is never called.
    pub(crate) fn uid_of_peer<S>(&mut self, _connection: &S) -> io::Result<Option<u32>> {
        match self.0 {}
    }
}
