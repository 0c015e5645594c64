//! The file that audit records are appended to. It can be opened again under the same path, after
//! another program has moved it away to rotate it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file that can be reopened while it is written to.
#[derive(Clone, Debug)]
pub(crate) struct AuditFile {
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

impl AuditFile {
    /// Opens a file to append to it, and creates it if it does not exist.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = Arc::new(Mutex::new(open(path)?));
        Ok(Self { path: path.to_owned(), file })
    }

    /// Opens the file at the same path again. If that fails, records still go to the open one.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        let file = open(&self.path)?;
        *self.lock() = file;
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

impl Write for AuditFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(bytes)
    }

    /// Writes all of it to one file, so that no record is cut in two.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.lock().write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_go_to_a_new_file_once_it_is_reopened() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("a"), directory.path().join("a.1"));
        let file = AuditFile::open(&path).unwrap();
        let mut writer = file.clone();
        writer.write_all(b"one\n").unwrap();
        std::fs::rename(&path, &moved).unwrap();
        writer.write_all(b"two\n").unwrap();
        file.reopen().unwrap();
        writer.write_all(b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
    }

    #[test]
    fn a_file_that_cannot_be_reopened_stays_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let (inner, moved) = (directory.path().join("d"), directory.path().join("moved"));
        std::fs::create_dir(&inner).unwrap();
        let mut file = AuditFile::open(&inner.join("a")).unwrap();
        std::fs::rename(&inner, &moved).unwrap();
        assert!(file.reopen().is_err());
        file.write_all(b"one\n").unwrap();
        assert_eq!(std::fs::read_to_string(moved.join("a")).unwrap(), "one\n");
    }
}
