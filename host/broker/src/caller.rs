//! Who calls.

use std::fmt;

/// A caller, as the broker authenticated it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Caller {
    /// A part of the service that embeds the broker.
    Embedded {
        /// Its name, for the audit.
        name: String,
    },
    /// A process of this machine, as the kernel vouches for it at a Unix socket.
    Process {
        /// Its user.
        uid: u32,
        /// Its group.
        gid: u32,
        /// Its number, where the system says.
        pid: Option<i32>,
    },
    /// Anybody on this machine: a connection to a loopback address.
    Anybody {
        /// The connection's other end.
        peer: std::net::SocketAddr,
    },
}

impl Caller {
    /// A part of the service that embeds the broker.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self::Embedded { name: name.into() }
    }

    /// What is the same in all calls of one caller, over whatever connection and from whatever
    /// process they come.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Embedded { name } => format!("name={name}"),
            Self::Process { uid, gid: _, pid: _ } => format!("uid={uid}"),
            Self::Anybody { peer: _ } => "anybody".to_owned(),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded { name } => f.write_str(name),
            Self::Process { uid, gid, pid: Some(pid) } => {
                write!(f, "uid={uid} gid={gid} pid={pid}")
            }
            Self::Process { uid, gid, pid: None } => write!(f, "uid={uid} gid={gid}"),
            Self::Anybody { peer } => write!(f, "anybody at {peer}"),
        }
    }
}
