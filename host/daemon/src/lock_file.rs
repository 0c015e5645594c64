//! The file that has what is locked. A daemon that cannot read it does not start: it would not know
//! what to deny.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use keyward::{Lock, LockEvent};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// The longest file that is read, in bytes.
const MAX_LENGTH: u64 = 1 << 20;

/// The version of the format.
const VERSION: u32 = 1;

/// The contents of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredLocks {
    version: u32,
    pub(crate) locks: Vec<Lock>,
    /// What was locked and unlocked without a daemon. The next one records it in its audit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unrecorded: Vec<LockEvent>,
}

impl Default for StoredLocks {
    fn default() -> Self {
        Self { version: VERSION, locks: Vec::new(), unrecorded: Vec::new() }
    }
}

impl StoredLocks {
    pub(crate) fn of(locks: Vec<Lock>) -> Self {
        Self { locks, ..Self::default() }
    }
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the file of locks {} cannot be used: {reason}", path.display())]
pub(crate) struct UnusableFile {
    path: PathBuf,
    reason: String,
}

impl From<UnusableFile> for Failure {
    fn from(error: UnusableFile) -> Self {
        let help = format!(
            "whatever was locked must stay locked, so nothing is served: correct the file, or if \
             nothing is to be locked, remove it: rm {}",
            error.path.display()
        );
        Self::config(error).help(help)
    }
}

/// Identifies the contents of a file: it is replaced as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

/// The stamp of a file; `None` if it does not exist.
pub(crate) fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = path.metadata().ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Some(Stamp { modified: metadata.modified().ok(), length: metadata.len(), inode })
}

/// Reads a file; `None` if it does not exist.
pub(crate) fn read(path: &Path) -> Result<Option<StoredLocks>, UnusableFile> {
    let unusable = |reason: String| UnusableFile { path: path.to_owned(), reason };
    let failed = |error: io::Error| unusable(error.to_string());
    let file = match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.is_file() => {
            return Err(unusable("it is not a regular file".to_owned()));
        }
        Ok(_) => File::open(path).map_err(failed)?,
    };
    let mut text = String::new();
    file.take(MAX_LENGTH).read_to_string(&mut text).map_err(failed)?;
    let stored: StoredLocks =
        serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    if stored.version != VERSION {
        return Err(unusable(format!("its version is {}, not {VERSION}", stored.version)));
    }
    Ok(Some(stored))
}

/// Reads the file that a daemon starts with, and checks that no other user can lift its locks.
pub(crate) fn read_for_daemon(path: &Path) -> Result<StoredLocks, Failure> {
    let Some(stored) = read(path)? else { return Ok(StoredLocks::default()) };
    #[cfg(unix)]
    check_writers(path)?;
    Ok(stored)
}

#[cfg(unix)]
fn check_writers(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt;

    use crate::write_access::{self, Protected};

    let unusable = |reason: String| UnusableFile { path: path.to_owned(), reason };
    let user = rustix::process::geteuid().as_raw();
    let metadata = path.metadata().map_err(|error| unusable(error.to_string()))?;
    let shown = path.display();
    if metadata.uid() != 0 && metadata.uid() != user {
        let failure = Failure::from(unusable(format!(
            "user {} owns it, and can lift its locks",
            metadata.uid()
        )));
        return Err(failure.help(format!("chown {user} {shown}")));
    }
    if metadata.mode() & 0o022 != 0 {
        let mode = metadata.mode() & 0o7777;
        let failure = Failure::from(unusable(format!(
            "other users can write to it (mode {mode:04o}), and lift its locks"
        )));
        return Err(failure.help(format!("chmod go-w {shown}")));
    }
    let checked = write_access::check(path, Protected::Locks, user);
    let warnings = checked
        .map_err(|problem| Failure::from(unusable(problem.found.clone())).help(problem.help()))?;
    for warning in warnings {
        tracing::warn!("{}. {}", warning.found, warning.help());
    }
    Ok(())
}

/// Replaces a file atomically, with mode 0600. What root writes belongs to the owner of the file
/// before it, or of the directory, so that the daemon can read it.
pub(crate) fn write(path: &Path, stored: &StoredLocks) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_directory(directory)?;
    let mut text = serde_json::to_vec_pretty(stored)?;
    text.push(b'\n');
    let mut file = tempfile::Builder::new().prefix(".locks").tempfile_in(directory)?;
    file.write_all(&text)?;
    #[cfg(unix)]
    give_to_owner(file.as_file(), path, directory)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // Only this makes the rename survive a loss of power.
    #[cfg(unix)]
    File::open(directory)?.sync_all()?;
    Ok(())
}

pub(crate) fn create_directory(directory: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

#[cfg(unix)]
fn give_to_owner(file: &File, path: &Path, directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};

    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let before = path.metadata().or_else(|_| directory.metadata())?;
    fchown(file, Some(before.uid()), Some(before.gid()))
}

#[cfg(test)]
mod tests {
    use keyward::LockTarget;

    use super::*;

    fn stored() -> StoredLocks {
        let since = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_700_000_000_123);
        let lock = Lock::new(LockTarget::Mount("vault".to_owned()), &"uid=0", None);
        let lock = Lock { since, ..lock };
        let unrecorded = vec![LockEvent::from(&lock)];
        StoredLocks { unrecorded, ..StoredLocks::of(vec![lock]) }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/locks.json");
        assert_eq!(read(&path).unwrap(), None);
        assert_eq!(stamp(&path), None);
        write(&path, &stored()).unwrap();
        assert_eq!(read(&path).unwrap(), Some(stored()));
        let before = stamp(&path);
        write(&path, &StoredLocks::default()).unwrap();
        assert_ne!(stamp(&path), before);
        assert_eq!(read_for_daemon(&path).unwrap(), StoredLocks::default());
        let left = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "no temporary file is left");
    }

    #[test]
    fn a_malformed_file_is_an_error_and_not_a_file_without_locks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("locks.json");
        for text in [
            "",
            "{}",
            "{\"version\":1}",
            "{\"version\":2,\"locks\":[]}",
            "{\"version\":1,\"locks\":[],\"x\":1}",
            "{\"version\":1,\"locks\":[{\"target\":\"al\"}]}",
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("locks.json cannot be used: "), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(read(&path).is_err(), "a directory");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_write_is_not_used() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("locks.json");
        write(&path, &stored()).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(read_for_daemon(&path).is_ok());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o620)).unwrap();
        let failure = read_for_daemon(&path).unwrap_err();
        assert!(failure.message().contains("mode 0620"), "{failure:?}");
    }
}
