//! Files that decide whose proofs are accepted. A user who can change one can act as any caller.
//!
//! Such a file is checked whenever it is read, and not only when the daemon starts: the file that
//! is open, because the one of that name may be another a moment later.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

/// The contents of a file that only root and the daemon's user can change or replace.
#[derive(Debug)]
pub(crate) struct Trusted {
    pub(crate) bytes: Vec<u8>,
    /// Who else may be able to replace it, and what to do about it.
    warnings: Vec<String>,
}

/// A trusted file that cannot be used.
#[derive(Debug)]
pub(crate) enum TrustedFileError {
    /// It cannot be read.
    Unreadable(io::Error),
    /// It is longer than the limit, in bytes.
    TooLong(usize),
    /// Other users can change or replace it.
    #[cfg_attr(not(unix), allow(dead_code, reason = "access lists are not checked"))]
    Unprotected {
        /// Who, and how.
        found: String,
        /// What to do about it.
        help: String,
    },
}

impl Trusted {
    /// Logs who else may be able to replace the file. `key` is what names it in the configuration.
    pub(crate) fn log_warnings(&self, key: &str) {
        for warning in &self.warnings {
            tracing::warn!("{key}: {warning}");
        }
    }
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
///
/// Others than root and the daemon's user can change or replace it, or it cannot be read.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Trusted, TrustedFileError> {
    let (file, metadata) = open(path)?;
    let warnings = check(path, &metadata)?;
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(TrustedFileError::TooLong(limit));
    }
    Ok(Trusted { bytes, warnings })
}

/// Opens a regular file.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let file = open_any(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok((file, metadata))
}

/// Opens a file. Does not wait for a FIFO's other end.
#[cfg(unix)]
fn open_any(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};

    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

#[cfg(not(unix))]
fn open_any(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(unix)]
fn check(path: &Path, metadata: &Metadata) -> Result<Vec<String>, TrustedFileError> {
    use crate::write_access::{self, Finding, Protected};

    let user = rustix::process::geteuid().as_raw();
    let unprotected = |finding: Finding| {
        let help = finding.help();
        TrustedFileError::Unprotected { found: finding.found, help }
    };
    write_access::check_opened(path, metadata, Protected::Trusted, user).map_err(unprotected)?;
    let warnings = write_access::check(path, Protected::Trusted, user).map_err(unprotected)?;
    Ok(warnings.iter().map(|finding| format!("{}. {}", finding.found, finding.help())).collect())
}

/// Checks nothing: access lists are not read on this system.
#[cfg(not(unix))]
fn check(_path: &Path, _metadata: &Metadata) -> Result<Vec<String>, TrustedFileError> {
    Ok(Vec::new())
}

impl From<io::Error> for TrustedFileError {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl fmt::Display for TrustedFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot read it: {error}"),
            Self::TooLong(limit) => write!(f, "it is longer than {limit} bytes"),
            Self::Unprotected { found, .. } => f.write_str(found),
        }
    }
}

impl std::error::Error for TrustedFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(error) => Some(error),
            Self::TooLong(_) | Self::Unprotected { .. } => None,
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_a_group_or_every_user_can_change_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        std::fs::write(&path, "{}").unwrap();
        let read = |mode: u32| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            read(&path, 100).map(|trusted| trusted.bytes)
        };
        assert_eq!(read(0o644).unwrap(), b"{}");
        assert_eq!(read(0o400).unwrap(), b"{}");
        for (mode, who) in [(0o664, "group"), (0o646, "every user")] {
            let TrustedFileError::Unprotected { found, help } = read(mode).unwrap_err() else {
                panic!("{mode:o}")
            };
            assert!(found.contains(who), "{found}");
            assert!(help.contains("chmod go-w"), "{help}");
        }
    }

    #[test]
    fn a_file_in_a_directory_that_every_user_can_write_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        std::fs::write(&path, "{}").unwrap();
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(directory.path(), open).unwrap();
        let error = read(&path, 100).unwrap_err();
        assert!(error.to_string().contains("every user can write to"), "{error}");
    }

    #[test]
    fn a_pipe_and_a_long_file_are_errors() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        if made.is_ok_and(|status| status.success()) {
            let error = read(&path, 100).unwrap_err();
            assert!(error.to_string().contains("not a regular file"), "{error}");
        }
        let path = directory.path().join("long");
        std::fs::write(&path, [0; 11]).unwrap();
        assert!(read(&path, 11).is_ok());
        assert!(matches!(read(&path, 10), Err(TrustedFileError::TooLong(10))));
    }
}
