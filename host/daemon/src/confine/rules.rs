//! What a confined daemon may do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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
/// A process cannot lift its confinement. So a configuration that is loaded later must be
/// [covered](Self::covers) by the one that is in force; otherwise it needs a restart.
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

    /// What may be done with a path: all that is permitted for it, or for a directory above.
    fn access(&self, path: &Path) -> Access {
        let above = self.paths.iter().filter(|(permitted, _)| path.starts_with(permitted));
        above.fold(Access::empty(), |all, (_, access)| all | *access)
    }
}

#[cfg_attr(not(test), expect(dead_code, reason = "for configurations that are loaded later"))]
impl Confinement {
    /// Whether a process that is confined like this can do all that another confinement permits.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.beyond(other).is_empty()
    }

    /// What another confinement permits and this one does not, for a message.
    pub(crate) fn beyond(&self, other: &Self) -> Vec<String> {
        let mut beyond = Vec::new();
        if let (Switch::On(()), Switch::Off(reason)) =
            (&self.no_new_privileges, &other.no_new_privileges)
        {
            beyond.push(format!("new privileges ({reason})"));
        }
        match (&self.landlock, &other.landlock) {
            (Switch::Off(_), _) => {}
            (Switch::On(_), Switch::Off(reason)) => {
                beyond.push(format!("all files and TCP ports ({reason})"));
            }
            (Switch::On(rules), Switch::On(others)) => rules.beyond(others, &mut beyond),
        }
        match (&self.seccomp, &other.seccomp) {
            (Switch::Off(_), _) => {}
            (Switch::On(_), Switch::Off(reason)) => {
                beyond.push(format!("all system calls ({reason})"));
            }
            (Switch::On(Programs::Denied), Switch::On(Programs::Permitted)) => {
                beyond.push("other programs".to_owned());
            }
            (Switch::On(_), Switch::On(_)) => {}
        }
        beyond
    }
}

impl Rules {
    fn beyond(&self, other: &Self, beyond: &mut Vec<String>) {
        let paths = other.paths.iter();
        let more = paths.filter(|(path, access)| !self.access(path).contains(**access));
        beyond.extend(more.map(|(path, _)| path.display().to_string()));
        match (&self.tcp, &other.tcp) {
            (None, _) => {}
            (Some(_), None) => beyond.push("all TCP ports".to_owned()),
            (Some(ports), Some(others)) => {
                let connect = others.connect.difference(&ports.connect);
                beyond.extend(connect.map(|port| format!("connections to TCP port {port}")));
                let bind = others.bind.difference(&ports.bind);
                beyond.extend(bind.map(|port| format!("listening at TCP port {port}")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confinement() -> Confinement {
        let mut rules = Rules::default();
        rules.permit("/etc", Access::READ);
        rules.permit("/var/cache/keyward", Access::REPLACE);
        let ports = |ports: &[u16]| ports.iter().copied().collect();
        rules.tcp = Some(TcpPorts { connect: ports(&[53, 443]), bind: ports(&[8200]) });
        Confinement {
            no_new_privileges: Switch::On(()),
            landlock: Switch::On(rules),
            seccomp: Switch::On(Programs::Denied),
        }
    }

    /// What a change of the rules needs beyond the confinement.
    fn beyond(change: impl FnOnce(&mut Rules)) -> Vec<String> {
        let mut other = confinement();
        if let Switch::On(rules) = &mut other.landlock {
            change(rules);
        }
        assert_eq!(confinement().covers(&other), confinement().beyond(&other).is_empty());
        confinement().beyond(&other)
    }

    #[test]
    fn what_is_below_a_permitted_directory_is_covered() {
        assert!(beyond(|_| {}).is_empty());
        assert!(beyond(|rules| rules.permit("/etc/keyward", Access::READ)).is_empty());
        assert!(beyond(|rules| rules.permit("/var/cache/keyward/x", Access::APPEND)).is_empty());
        for (path, access) in [
            ("/etcetera", Access::READ),
            ("/etc", Access::WRITE),
            ("/var/cache", Access::READ),
            ("/var/cache/keyward/k.sock", Access::LISTEN),
        ] {
            assert_eq!(beyond(|rules| rules.permit(path, access)), [path]);
        }
    }

    #[test]
    fn rights_of_several_directories_above_add_up() {
        let mut rules = Rules::default();
        rules.permit("/a", Access::READ);
        rules.permit("/a/b", Access::APPEND);
        assert_eq!(rules.access(Path::new("/a/b/c")), Access::READ | Access::APPEND);
        assert_eq!(rules.access(Path::new("/a/c")), Access::READ);
        assert_eq!(rules.access(Path::new("/ab")), Access::empty());
    }

    #[test]
    fn another_port_needs_a_restart() {
        let beyond_ports = |connect: &[u16], bind: &[u16]| {
            let ports = |ports: &[u16]| ports.iter().copied().collect();
            let tcp = TcpPorts { connect: ports(connect), bind: ports(bind) };
            beyond(|rules| rules.tcp = Some(tcp))
        };
        assert!(beyond_ports(&[443], &[]).is_empty());
        let beyond_these = beyond_ports(&[443, 1433], &[8200, 8201]);
        let expected = ["connections to TCP port 1433", "listening at TCP port 8201"];
        assert_eq!(beyond_these, expected);
        assert_eq!(beyond(|rules| rules.tcp = None), ["all TCP ports"]);
    }

    #[test]
    fn less_confinement_needs_a_restart_and_more_does_not() {
        let off = Confinement {
            no_new_privileges: Switch::Off("a"),
            landlock: Switch::Off("b"),
            seccomp: Switch::Off("c"),
        };
        assert!(off.covers(&confinement()) && off.covers(&off));
        let beyond = confinement().beyond(&off);
        assert_eq!(
            beyond,
            ["new privileges (a)", "all files and TCP ports (b)", "all system calls (c)"]
        );
        let mut programs = confinement();
        programs.seccomp = Switch::On(Programs::Permitted);
        assert_eq!(confinement().beyond(&programs), ["other programs"]);
        assert!(programs.covers(&confinement()));
    }
}
