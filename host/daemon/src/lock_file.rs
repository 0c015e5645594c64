//! The file that has what is locked. A daemon that cannot read it does not start: it would not know
//! what to deny.

mod exclusive;

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use keyward::{Lock, LockEvent};
use serde::{Deserialize, Serialize};

pub(crate) use self::exclusive::Exclusive;
use crate::exit::Failure;
use crate::trusted_file;
#[cfg(unix)]
use crate::write_access::{self, Finding, Protected};

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

/// What was read from a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LockFile {
    pub(crate) stored: StoredLocks,
    /// The stamp of the file from which it was read; `None` if the file did not exist.
    pub(crate) stamp: Option<Stamp>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the file of locks {} cannot be used: {reason}", path.display())]
pub(crate) struct UnusableFile {
    path: PathBuf,
    reason: String,
    /// What to do about it, if it is not the contents.
    help: Option<String>,
}

impl From<UnusableFile> for Failure {
    fn from(error: UnusableFile) -> Self {
        let help = error.help();
        Self::config(error).help(help)
    }
}

impl UnusableFile {
    /// What to do about it.
    pub(crate) fn help(&self) -> String {
        self.help.clone().unwrap_or_else(|| {
            format!(
                "whatever was locked must stay locked, so nothing is served: correct the file, or \
                 if nothing is to be locked, remove it: rm {}",
                self.path.display()
            )
        })
    }
}

impl From<UnusableFile> for io::Error {
    fn from(error: UnusableFile) -> Self {
        Self::other(error)
    }
}

/// Identifies the contents of a file: it is replaced as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    /// When its contents, owner or mode changed, in seconds and nanoseconds.
    changed: (i64, i64),
    length: u64,
    inode: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let (inode, changed) = {
            use std::os::unix::fs::MetadataExt;

            (metadata.ino(), (metadata.ctime(), metadata.ctime_nsec()))
        };
        #[cfg(not(unix))]
        let (inode, changed) = (0, (0, 0));
        Self { modified: metadata.modified().ok(), changed, length: metadata.len(), inode }
    }
}

/// The stamp of a file; `None` if it does not exist.
pub(crate) fn stamp(path: &Path) -> Option<Stamp> {
    path.metadata().ok().map(|metadata| Stamp::of(&metadata))
}

/// Reads a file; `None` if it does not exist.
pub(crate) fn read(path: &Path) -> Result<Option<LockFile>, UnusableFile> {
    match open(path)? {
        Some((file, metadata)) => parse(path, file, &metadata).map(Some),
        None => Ok(None),
    }
}

/// Reads a file for a daemon: checks that no other user can lift its locks.
pub(crate) fn read_checked(path: &Path) -> Result<Option<LockFile>, UnusableFile> {
    // Where there is no file, another user must not be able to put one.
    let Some((file, metadata)) = open(path)? else {
        #[cfg(unix)]
        check_directories(path, this_user())?;
        return Ok(None);
    };
    #[cfg(unix)]
    {
        check_owner(path, &metadata, this_user())?;
        check_directories(path, this_user())?;
    }
    parse(path, file, &metadata).map(Some)
}

/// Reads the file that a daemon starts with, and logs which groups could lift its locks.
pub(crate) fn read_for_daemon(path: &Path) -> Result<LockFile, Failure> {
    let read = read_checked(path)?.unwrap_or_default();
    #[cfg(unix)]
    for warning in check_directories(path, this_user())? {
        tracing::warn!("{}. {}", warning.found, warning.help());
    }
    Ok(read)
}

/// Why a daemon of this user could not start with a file. Contents that this process cannot read
/// are not checked.
#[cfg(unix)]
pub(crate) fn problem(path: &Path, user: u32) -> Option<UnusableFile> {
    let checked = || {
        check_directories(path, user)?;
        if let Ok(metadata) = path.metadata().as_ref()
            && metadata.is_file()
        {
            check_owner(path, metadata, user)?;
        }
        read(path).map(drop)
    };
    let is_readable =
        rustix::fs::access(path, rustix::fs::Access::READ_OK) != Err(rustix::io::Errno::ACCESS);
    checked().err().filter(|error| error.help.is_some() || is_readable)
}

#[cfg(unix)]
fn this_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Opens a regular file; `None` if it does not exist.
fn open(path: &Path) -> Result<Option<(File, Metadata)>, UnusableFile> {
    match trusted_file::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).map_err(|error| unusable(path, error.to_string())),
    }
}

fn parse(path: &Path, file: File, metadata: &Metadata) -> Result<LockFile, UnusableFile> {
    // Taken before it is read, so that a change meanwhile is noticed as a difference.
    let stamp = Some(Stamp::of(metadata));
    let mut text = String::new();
    let read = file.take(MAX_LENGTH).read_to_string(&mut text);
    read.map_err(|error| unusable(path, error.to_string()))?;
    let stored: StoredLocks =
        serde_json::from_str(&text).map_err(|error| unusable(path, error.to_string()))?;
    if stored.version != VERSION {
        return Err(unusable(path, format!("its version is {}, not {VERSION}", stored.version)));
    }
    Ok(LockFile { stored, stamp })
}

fn unusable(path: &Path, reason: impl Into<String>) -> UnusableFile {
    UnusableFile { path: path.to_owned(), reason: reason.into(), help: None }
}

/// Checks who can write to a file.
#[cfg(unix)]
fn check_owner(path: &Path, metadata: &Metadata, user: u32) -> Result<(), UnusableFile> {
    write_access::check_opened(path, metadata, Protected::Locks, user)
        .map_err(|problem| unprotected(path, problem))
}

/// Checks who can replace a file, and returns warnings.
#[cfg(unix)]
fn check_directories(path: &Path, user: u32) -> Result<Vec<Finding>, UnusableFile> {
    write_access::check(path, Protected::Locks, user).map_err(|problem| unprotected(path, problem))
}

#[cfg(unix)]
fn unprotected(path: &Path, problem: Finding) -> UnusableFile {
    UnusableFile { help: Some(problem.help()), ..unusable(path, problem.found) }
}

/// Replaces a file atomically, with mode 0600. What root writes belongs to the owner of the file
/// before it, or of the directory, so that the daemon can read it.
pub(crate) fn write(path: &Path, stored: &StoredLocks) -> io::Result<()> {
    let directory = directory(path);
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

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
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
        let read = read(&path).unwrap().unwrap();
        assert_eq!((read.stored, read.stamp), (stored(), stamp(&path)));
        write(&path, &StoredLocks::default()).unwrap();
        assert_ne!(stamp(&path), read.stamp);
        assert_eq!(read_for_daemon(&path).unwrap().stored, StoredLocks::default());
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

    #[cfg(unix)]
    #[test]
    fn a_directory_where_others_could_put_a_file_is_not_used_either() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("locks.json");
        assert_eq!(read_for_daemon(&path).unwrap(), LockFile::default());
        let mode = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(directory.path(), mode).unwrap();
        let failure = read_for_daemon(&path).unwrap_err();
        assert!(failure.message().contains("mode 0777"), "{failure:?}");
    }
}
