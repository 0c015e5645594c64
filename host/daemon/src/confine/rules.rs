//! What a confined daemon may do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

bitflags::bitflags! {
    /// What may be done with a file, or with the files in and below a directory.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Access: u8 {
        /// Read files, and list directories.
        const READ = 1;
        /// Write to existing files.
        const WRITE = 1 << 1;
        /// Create regular files.
        const CREATE = 1 << 2;
        /// Remove and rename files.
        const REMOVE = 1 << 3;
        /// Create sockets.
        const SOCKET = 1 << 4;
    }
}

impl Access {
    /// Append to a file, also after another program moved it away.
    pub(crate) const APPEND: Self = Self::WRITE.union(Self::CREATE);
    /// Read files, and replace them atomically.
    pub(crate) const REPLACE: Self = Self::READ.union(Self::APPEND).union(Self::REMOVE);
    /// Create a socket, and remove it.
    pub(crate) const LISTEN: Self = Self::SOCKET.union(Self::REMOVE);
}

/// The confinement of a configuration.
///
/// A process cannot lift its confinement, so what it does not permit needs a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Confinement {
    pub(crate) no_new_privileges: Switch<()>,
    pub(crate) landlock: Switch<Rules>,
    pub(crate) seccomp: Switch<Programs>,
}

/// Whether a part of the confinement is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Switch<T> {
    On(T),
    /// It is off, for this reason.
    Off(&'static str),
}

/// What landlock permits. All else is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Absolute paths. Those of directories are for all that is below them, too.
    pub(crate) paths: BTreeMap<PathBuf, Access>,
    /// Those of `paths` that the configuration names, and that the daemon does not create.
    pub(crate) configured: BTreeSet<PathBuf>,
    /// TCP ports; `None` for all.
    pub(crate) tcp: Option<TcpPorts>,
}

/// TCP ports, at any address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TcpPorts {
    pub(crate) connect: BTreeSet<u16>,
    /// 0 is any free port.
    pub(crate) bind: BTreeSet<u16>,
}

/// Whether programs may be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Programs {
    Denied,
    Permitted,
}

impl Rules {
    pub(crate) fn permit(&mut self, path: impl Into<PathBuf>, access: Access) {
        *self.paths.entry(path.into()).or_default() |= access;
    }

    /// As [`permit`](Self::permit), for a path that the configuration names: it is reported if it
    /// does not exist.
    pub(crate) fn permit_configured(&mut self, path: impl Into<PathBuf>, access: Access) {
        let path = path.into();
        self.configured.insert(path.clone());
        self.permit(path, access);
    }
}
