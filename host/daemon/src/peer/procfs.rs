//! Files of `/proc`, opened such that no other file can stand in their place.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags};

/// Inode of the root directory of every procfs.
const ROOT_INODE: u64 = 1;

/// More than the kernel writes to any file that is read here: a path has at most 4096 bytes.
const MOST_BYTES: u64 = 64 * 1024;

/// The root directory of a procfs.
#[derive(Debug)]
pub(super) struct Procfs {
    root: OwnedFd,
}

impl Procfs {
    /// Opens the root of a procfs, and remains in it if something else is mounted there later.
    ///
    /// # Errors
    ///
    /// It is not a procfs, or only a part of one.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())?;
        let is_procfs = rustix::fs::fstatfs(&root)?.f_type == PROC_SUPER_MAGIC;
        if !is_procfs || rustix::fs::fstat(&root)?.st_ino != ROOT_INODE {
            return Err(io::Error::other(format!("{} is not a procfs", path.display())));
        }
        Ok(Self { root })
    }

    /// Reads a file, such as `1/cgroup`.
    ///
    /// # Errors
    ///
    /// It does not exist, the daemon may not read it, or something is mounted over it (`EXDEV`).
    /// Before Linux 5.6: always (`ENOSYS`).
    pub(super) fn read(&self, path: &str) -> io::Result<String> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve)?;
        let mut text = String::new();
        let size = File::from(file).take(MOST_BYTES).read_to_string(&mut text)?;
        if size as u64 == MOST_BYTES {
            return Err(io::Error::other(format!("{path} is too long")));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::test_process::in_mount_namespace;

    #[test]
    fn a_directory_that_is_not_the_root_of_a_procfs_is_rejected() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("self")).unwrap();
        assert!(Procfs::open(directory.path()).is_err());
        assert!(Procfs::open(Path::new("/proc/1")).is_err());
        assert!(Procfs::open(Path::new("/proc/sys")).is_err());
        assert!(Procfs::open(Path::new("/proc")).is_ok());
    }

    #[test]
    fn only_files_inside_are_read() {
        let procfs = Procfs::open(Path::new("/proc")).unwrap();
        assert!(procfs.read("self/cgroup").is_ok());
        for outside in ["../etc/passwd", "/proc/self/cgroup", "self/root/etc/passwd", "self/exe"] {
            assert!(procfs.read(outside).is_err(), "{outside}");
        }
    }

    #[test]
    fn a_file_mounted_over_that_of_a_process_is_not_read() {
        let mount = "F=$D/f; echo 0::/system.slice/web.service >$F; \
                     mount --bind $F /proc/$$/cgroup; grep -q web /proc/$$/cgroup";
        in_mount_namespace(mount, || {
            let procfs = Procfs::open(Path::new("/proc")).unwrap();
            assert!(std::fs::read_to_string("/proc/self/cgroup").unwrap().contains("web"));
            let error = procfs.read(&format!("{}/cgroup", std::process::id())).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EXDEV));
            assert!(procfs.read(&format!("{}/stat", std::process::id())).is_ok());
        });
    }

    #[test]
    fn a_directory_mounted_over_proc_is_rejected() {
        let mount = "mkdir -p $D/$$; mount --bind $D /proc";
        in_mount_namespace(mount, || {
            assert!(Procfs::open(Path::new("/proc")).is_err());
        });
    }
}
