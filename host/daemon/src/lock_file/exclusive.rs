//! The right to change the file of locks: one process at a time reads it, changes it and writes it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long other processes may take. A daemon ends calls meanwhile, which takes up to 5 seconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is tried. Waiting without a timeout would keep a thread from ending.
const POLL: Duration = Duration::from_millis(5);

/// The right to change a file of locks, until this is dropped.
///
/// It is an advisory lock of a file beside it, since the file of locks itself is replaced. That
/// file is never removed, and only the owner of the file of locks can open it.
#[derive(Debug)]
#[must_use]
pub(crate) struct Exclusive(#[allow(dead_code, reason = "open, it is locked")] File);

impl Exclusive {
    /// Waits until no other process has it. This blocks the thread.
    pub(crate) fn take(path: &Path) -> io::Result<Self> {
        let beside = beside(path);
        let file = open(&beside, path)?;
        let deadline = Instant::now() + TIMEOUT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(POLL);
                }
                Err(TryLockError::WouldBlock) => {
                    let seconds = TIMEOUT.as_secs();
                    let beside = beside.display();
                    let error = format!("another process has locked {beside} for {seconds} s");
                    return Err(io::Error::new(ErrorKind::TimedOut, error));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

/// The file beside a file of locks: `.locks.json.lock` beside `locks.json`.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".lock");
    path.with_file_name(name)
}

fn open(beside: &Path, path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;

        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    match options.open(beside) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        opened => return opened,
    }
    // Under its name, it belongs to the right user from the beginning.
    let directory = super::directory(path);
    super::create_directory(directory)?;
    let file = tempfile::Builder::new().prefix(".locks").tempfile_in(directory)?;
    #[cfg(unix)]
    super::give_to_owner(file.as_file(), path, directory)?;
    match file.persist_noclobber(beside) {
        Err(error) if error.error.kind() != ErrorKind::AlreadyExists => Err(error.error),
        Ok(_) | Err(_) => options.open(beside),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_may_change_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/locks.json");
        let first = Exclusive::take(&path).unwrap();
        let other = open(&beside(&path), &path).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(first);
        other.try_lock().unwrap();
        drop(other);
        drop(Exclusive::take(&path).unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("locks.json");
        std::os::unix::fs::symlink("elsewhere", beside(&path)).unwrap();
        assert!(Exclusive::take(&path).is_err());
        assert!(!directory.path().join("elsewhere").exists());
    }
}
