//! Socket options about the peer of a Unix socket, for which rustix has no sound calls: its
//! `socket_peercred` returns a process id that cannot be zero, though the kernel reports zero for a
//! process of another PID namespace.
#![allow(unsafe_code, reason = "getsockopt")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The kernel's limit (`NGROUPS_MAX`).
const MOST_GROUPS: usize = 65536;

/// `struct ucred`. The ids are as the kernel reports them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) pid: i32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Process, user and group that connected (`SO_PEERCRED`).
pub(super) fn credentials(socket: BorrowedFd<'_>) -> io::Result<Credentials> {
    let mut credentials = [0; 3];
    read(socket, libc::SO_PEERCRED, &mut credentials)?;
    let [pid, uid, gid] = credentials;
    Ok(Credentials { pid: pid.cast_signed(), uid, gid })
}

/// Supplementary groups of the process that connected (`SO_PEERGROUPS`, Linux 4.13).
pub(super) fn groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups = vec![0; 64];
    loop {
        match read(socket, libc::SO_PEERGROUPS, &mut groups) {
            Ok(count) => {
                groups.truncate(count);
                return Ok(groups);
            }
            Err(error)
                if error.raw_os_error() == Some(libc::ERANGE) && groups.len() < MOST_GROUPS =>
            {
                groups = vec![0; MOST_GROUPS];
            }
            Err(error) => return Err(error),
        }
    }
}

/// A handle of the process that connected (`SO_PEERPIDFD`). `None` if the kernel does not have it
/// (before Linux 6.5).
///
/// # Errors
///
/// The process has ended: `EINVAL` or `ESRCH`. From Linux 6.16 on, the handle of an ended process
/// is returned.
pub(super) fn pidfd(socket: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let mut descriptor = [0];
    match read(socket, libc::SO_PEERPIDFD, &mut descriptor) {
        Ok(_) => {
            let [descriptor] = descriptor;
            // SAFETY: the kernel has just opened it for this call, so that nothing else owns it.
            Ok(Some(unsafe { OwnedFd::from_raw_fd(descriptor.cast_signed()) }))
        }
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads an option whose value consists of 32-bit integers, and returns their count.
fn read(socket: BorrowedFd<'_>, option: libc::c_int, value: &mut [u32]) -> io::Result<usize> {
    let mut size = libc::socklen_t::try_from(size_of_val(value)).map_err(io::Error::other)?;
    let pointer = value.as_mut_ptr().cast();
    // SAFETY: `value` is writable for `size` bytes, and any bytes are valid integers.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, pointer, &raw mut size)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(size).map_err(io::Error::other)? / size_of::<u32>())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use rustix::process::{getegid, geteuid};

    use super::*;

    #[test]
    fn the_kernel_reports_this_process_at_both_ends_of_a_pair() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let credentials = credentials(ours.as_fd()).unwrap();
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let pid = std::process::id().cast_signed();
        assert_eq!(credentials, Credentials { pid, uid, gid });
        let own = rustix::process::getgroups().unwrap();
        let own: Vec<u32> = own.into_iter().map(|group| group.as_raw()).collect();
        assert_eq!(groups(ours.as_fd()).unwrap(), own);
    }

    #[test]
    fn a_socket_of_another_family_has_no_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let credentials = credentials(listener.as_fd()).unwrap();
        assert_eq!(credentials, Credentials { pid: 0, uid: u32::MAX, gid: u32::MAX });
        assert!(groups(listener.as_fd()).is_err());
        assert!(!matches!(pidfd(listener.as_fd()), Ok(Some(_))));
    }
}
