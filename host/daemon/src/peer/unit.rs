//! The systemd unit of a process that connected to a Unix socket.
//!
//! A process is found by its id, which another process may get once it has ended. So what was read
//! counts only if the process that connected still lives afterwards.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::LazyLock;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::procfs::Procfs;
use super::sockopt::{self, Credentials};
use super::unit_name;

static PROCFS: LazyLock<io::Result<Procfs>> = LazyLock::new(|| Procfs::open(Path::new("/proc")));

/// Why the unit of a process is not proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoUnit {
    /// A file of `/proc` cannot be read.
    Unreadable(String),
    /// Version 2 of control groups is not mounted.
    NoUnifiedHierarchy,
    /// The process is in another PID namespace.
    OtherNamespace,
    /// The process has ended, or another one has its id.
    Ended,
    /// The process does not belong to a unit, or is in another cgroup namespace.
    NotInUnit,
}

impl NoUnit {
    /// What to do about it, if it concerns all processes.
    pub(crate) fn help(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable(_) => Some(
                "units need Linux 5.6, and a /proc that shows all processes: remove \
                 `ProtectProc=` from the broker's unit, or the mount option `hidepid`",
            ),
            Self::NoUnifiedHierarchy => {
                Some("boot with systemd.unified_cgroup_hierarchy=1, the default of systemd")
            }
            Self::OtherNamespace | Self::Ended | Self::NotInUnit => None,
        }
    }

    fn unreadable(error: &io::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl fmt::Display for NoUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot read /proc: {error}"),
            Self::NoUnifiedHierarchy => f.write_str("control groups of version 2 are not mounted"),
            Self::OtherNamespace => f.write_str("the process is in another PID namespace"),
            Self::Ended => f.write_str("the process that connected has ended"),
            Self::NotInUnit => f.write_str("the process does not belong to a systemd unit"),
        }
    }
}

impl std::error::Error for NoUnit {}

/// How units of other processes are proved on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnitProof {
    /// By a handle of the process that connected.
    Handle,
    /// By its id and its start time, before Linux 6.5. A process that ends right after it connected
    /// can be mistaken for a later one of the same user.
    StartTime,
}

/// Checks whether, and how, this machine can prove units of other processes.
pub(crate) fn check() -> Result<UnitProof, NoUnit> {
    let cgroups = procfs()?.read("1/cgroup").map_err(|error| NoUnit::unreadable(&error))?;
    if !cgroups.lines().any(|line| line.starts_with("0::")) {
        return Err(NoUnit::NoUnifiedHierarchy);
    }
    let (socket, _other) = UnixStream::pair().map_err(|error| NoUnit::unreadable(&error))?;
    let handle = sockopt::pidfd(socket.as_fd());
    Ok(if matches!(handle, Ok(None)) { UnitProof::StartTime } else { UnitProof::Handle })
}

/// The unit of the process that connected.
pub(super) fn of_peer(socket: BorrowedFd<'_>, peer: Credentials) -> Result<String, NoUnit> {
    if peer.pid <= 0 {
        return Err(NoUnit::OtherNamespace);
    }
    let procfs = procfs()?;
    match sockopt::pidfd(socket) {
        Ok(Some(pidfd)) => by_pidfd(procfs, peer.pid, pidfd.as_fd()),
        Ok(None) => by_start_time(peer, |path| procfs.read(path)),
        Err(_) => Err(NoUnit::Ended),
    }
}

fn procfs() -> Result<&'static Procfs, NoUnit> {
    PROCFS.as_ref().map_err(NoUnit::unreadable)
}

/// While the handle's process lives, no other process can have its id.
fn by_pidfd(procfs: &Procfs, pid: i32, pidfd: BorrowedFd<'_>) -> Result<String, NoUnit> {
    // The id in the PID namespace of /proc, which may differ from the one of the daemon.
    let handle = format!("self/fdinfo/{}", pidfd.as_raw_fd());
    let handle = procfs.read(&handle).map_err(|error| NoUnit::unreadable(&error))?;
    match field(&handle, "Pid:") {
        Some("-1") => return Err(NoUnit::Ended),
        Some(id) if id.parse() == Ok(pid) => {}
        _ => return Err(NoUnit::OtherNamespace),
    }
    let cgroups = procfs.read(&format!("{pid}/cgroup"));
    if !is_alive(pidfd) {
        return Err(NoUnit::Ended);
    }
    let cgroups = cgroups.map_err(|error| NoUnit::unreadable(&error))?;
    unit_name::of_cgroups(&cgroups).ok_or(NoUnit::NotInUnit)
}

/// A pidfd is readable once its process has ended.
fn is_alive(pidfd: BorrowedFd<'_>) -> bool {
    let mut descriptors = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut descriptors, Some(&at_once)) == Ok(0)
}

/// Without a handle (before Linux 6.5): the process that has the id must be the same before and
/// after, and belong to the user who connected. A process of the same user, in a unit for example,
/// that got the id between the connection and this call goes unnoticed.
fn by_start_time(
    peer: Credentials,
    read: impl Fn(&str) -> io::Result<String>,
) -> Result<String, NoUnit> {
    let pid = peer.pid;
    let read = |file| read(&format!("{pid}/{file}")).map_err(|error| NoUnit::unreadable(&error));
    let started = start_time(&read("stat")?).ok_or(NoUnit::Ended)?;
    let status = read("status")?;
    // Real, effective, saved, and for files.
    let mut users = field(&status, "Uid:").unwrap_or_default().split_whitespace();
    if users.nth(1).and_then(|uid| uid.parse().ok()) != Some(peer.uid) {
        return Err(NoUnit::Ended);
    }
    let cgroups = read("cgroup")?;
    if start_time(&read("stat")?) != Some(started) {
        return Err(NoUnit::Ended);
    }
    unit_name::of_cgroups(&cgroups).ok_or(NoUnit::NotInUnit)
}

/// The value of a line such as `Pid: 123`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// When a living process started, in clock ticks since boot: field 22 of `/proc/PID/stat`. Field 2,
/// the name of the executable, may contain anything.
fn start_time(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests;
