//! Tokens on disk, so that a restart makes no request. Encrypted, and never trusted: whatever is wrong with the file, the
//! worst that follows is a request.
//!
//! The file is `keyward-tokens` and a version, 12 random bytes, and what ChaCha20-Poly1305 makes of the entries, which
//! authenticates the first part too. It is written whole, beside the old one, which it then replaces.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::entry::{Entry, decode, encode};
use super::key::PersistKey;
use crate::Audience;

/// What the file begins with. Another version is another last byte.
const HEADER: &[u8; 15] = b"keyward-tokens\x01";

/// The longest file that is read, in bytes: some hundred tokens.
const LONGEST: u64 = 4 * 1024 * 1024;

/// A file with tokens. Several caches may share it: it is keyed by what their sources say they are, and by the audience.
/// Clones are the same one.
#[derive(Clone)]
pub struct Persistence(Arc<Inner>);

struct Inner {
    path: PathBuf,
    key: PersistKey,
    entries: Mutex<HashMap<(String, Audience), Entry>>,
    /// How often the entries changed, and which change was written last.
    changes: AtomicU64,
    written: Mutex<u64>,
}

impl Persistence {
    /// Reads the file, where there is one. One that is torn, was written with another key or by another version is as good
    /// as none, which a warning says. Reads from the disk: call it before a runtime has anything to do.
    #[must_use]
    pub fn open(path: impl AsRef<Path>, key: PersistKey) -> Self {
        let path = path.as_ref().to_owned();
        let entries = match read(&path, &key) {
            Ok(entries) => entries,
            Err(why) => {
                tracing::warn!(path = %path.display(), why, "the tokens on disk cannot be used; new ones will be fetched");
                Vec::new()
            }
        };
        let entries = entries.into_iter().map(|(identity, audience, entry)| ((identity, audience), entry)).collect();
        let (changes, written) = (AtomicU64::new(0), Mutex::new(0));
        Self(Arc::new(Inner { path, key, entries: Mutex::new(entries), changes, written }))
    }

    /// Writes what is not written yet. The caches do so by themselves, in the background, with every new token; this is for
    /// the end of a program.
    ///
    /// # Errors
    ///
    /// That of the disk. The tokens stay in memory all the same.
    pub fn flush(&self) -> std::io::Result<()> {
        let mut written = self.0.written.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = self.0.changes.load(Ordering::SeqCst);
        if *written == changes {
            return Ok(());
        }
        let plain = {
            let entries = self.0.entries.lock().unwrap_or_else(PoisonError::into_inner);
            encode(entries.iter().map(|((identity, audience), entry)| (identity.as_str(), audience, entry)))
        };
        write(&self.0.path, &seal(&self.0.key, plain)?)?;
        *written = changes;
        Ok(())
    }

    /// A token that was kept, and is good for some time yet.
    pub(super) fn get(&self, identity: &str, audience: &Audience, wall: Duration) -> Option<Entry> {
        let entries = self.0.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(&(identity.to_owned(), audience.clone())).filter(|entry| entry.is_good(wall)).cloned()
    }

    /// Keeps a token, and forgets those that have ended.
    pub(super) fn put(&self, identity: &str, audience: &Audience, entry: Entry, wall: Duration) {
        let mut entries = self.0.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| entry.is_good(wall));
        entries.insert((identity.to_owned(), audience.clone()), entry);
        self.0.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// Removes the tokens of an identity, or the one for an audience. Returns what they were for. They are gone from the disk
    /// with the next [`flush`](Self::flush).
    pub fn forget(&self, identity: &str, audience: Option<&Audience>) -> Vec<Audience> {
        let mut entries = self.0.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut forgotten = Vec::new();
        entries.retain(|(of, known), _| {
            let goes = of == identity && audience.is_none_or(|audience| audience == known);
            if goes {
                forgotten.push(known.clone());
            }
            !goes
        });
        if !forgotten.is_empty() {
            self.0.changes.fetch_add(1, Ordering::SeqCst);
        }
        forgotten
    }

    /// [`flush`](Self::flush) from a task.
    pub(super) async fn save(self) {
        let path = self.0.path.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || self.flush()).await {
            tracing::warn!(path = %path.display(), %error, "the tokens cannot be kept on disk; a restart will fetch new ones");
        }
    }
}

impl fmt::Debug for Persistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Persistence").field("path", &self.0.path).finish_non_exhaustive()
    }
}

fn read(path: &Path, key: &PersistKey) -> Result<Vec<(String, Audience, Entry)>, String> {
    let unread = |error: std::io::Error| error.to_string();
    let file = match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unread(error)),
        Ok(metadata) if !metadata.is_file() => return Err("it is not a regular file".to_owned()),
        Ok(metadata) if metadata.len() > LONGEST => return Err("it is too long".to_owned()),
        Ok(_) => File::open(path).map_err(unread)?,
    };
    let mut sealed = Vec::new();
    file.take(LONGEST).read_to_end(&mut sealed).map_err(unread)?;
    let plain = unseal(key, sealed)?;
    decode(&plain).ok_or_else(|| "what is in it is not as this version writes it".to_owned())
}

fn cipher(key: &PersistKey) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, key.bytes()).ok().map(LessSafeKey::new)
}

/// A nonce is random, and a key seals far fewer than 2^32 files with it ([NIST SP 800-38D, 8.3]'s bound for 96 bits).
///
/// [NIST SP 800-38D, 8.3]: https://doi.org/10.6028/NIST.SP.800-38D
fn seal(key: &PersistKey, mut plain: Zeroizing<Vec<u8>>) -> std::io::Result<Vec<u8>> {
    let failed = || std::io::Error::other("they cannot be encrypted");
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(|_| failed())?;
    let cipher = cipher(key).ok_or_else(failed)?;
    let aad = Aad::from(HEADER);
    let tag = cipher.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut plain);
    let tag = tag.map_err(|_| failed())?;
    Ok([&HEADER[..], &nonce, &plain, tag.as_ref()].concat())
}

fn unseal(key: &PersistKey, sealed: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, String> {
    let (header, rest) = sealed.split_at_checked(HEADER.len()).ok_or("it is torn")?;
    if header != HEADER {
        return Err("it is of another version, or no file with tokens".to_owned());
    }
    let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or("it is torn")?;
    let cipher = cipher(key).ok_or("it cannot be decrypted")?;
    let mut plain = Zeroizing::new(rest.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let length = match cipher.open_in_place(nonce, Aad::from(HEADER), &mut plain) {
        Ok(opened) => opened.len(),
        Err(_) => return Err("it is torn, or was encrypted with another key".to_owned()),
    };
    plain.truncate(length);
    Ok(plain)
}

/// Beside the file, and then in its place: who reads finds the old one or the new one, whole.
fn write(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = path.file_name().ok_or_else(|| std::io::Error::other("the path names no file"))?;
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.{:08x}", std::process::id(), fastrand::u32(..)));
    let beside = directory.join(beside);
    let written = create(&beside).and_then(|mut file| {
        file.write_all(contents)?;
        file.sync_all()
    });
    let placed = written.and_then(|()| std::fs::rename(&beside, path));
    if placed.is_err() {
        let _ = std::fs::remove_file(&beside);
        return placed;
    }
    // The new name survives a loss of power with the directory only. A system that cannot do this loses a cache at most.
    if cfg!(unix)
        && let Ok(directory) = File::open(directory)
    {
        let _ = directory.sync_all();
    }
    Ok(())
}

#[cfg(unix)]
fn create(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}
