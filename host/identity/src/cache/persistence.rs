//! Persisted tokens, so that a restart needs no request. The file is encrypted and never trusted:
//! the worst consequence of a damaged file is a request.
//!
//! The file is `keyward-tokens` and a version byte, a random nonce of 12 bytes, and the tokens,
//! encrypted with ChaCha20-Poly1305, which authenticates the first part too. It is replaced
//! atomically.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::Rng;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::persist_key::PersistKey;
use super::persisted_token::{PersistedToken, decode, encode};
use crate::Audience;

/// The first bytes of the file. The last one is the version.
const HEADER: &[u8; 15] = b"keyward-tokens\x01";

/// The longest file that is read, in bytes: some hundred tokens.
const MAX_LENGTH: u64 = 4 * 1024 * 1024;

/// A file with tokens. Several caches may share it: its keys are the descriptions of their sources,
/// and audiences. Clones share the file.
#[derive(Clone)]
pub struct Persistence(Arc<Inner>);

struct Inner {
    path: PathBuf,
    key: PersistKey,
    tokens: Mutex<HashMap<(String, Audience), PersistedToken>>,
    /// How often the tokens changed.
    changes: AtomicU64,
    /// The value of `changes` that was written last.
    written: Mutex<u64>,
}

impl Persistence {
    /// Reads the file, if there is one. A file that is damaged, or was written with another key or
    /// by another version, is ignored with a warning. Blocks while it reads.
    #[must_use]
    pub fn open(path: impl AsRef<Path>, key: PersistKey) -> Self {
        let path = path.as_ref().to_owned();
        let tokens = match read(&path, &key) {
            Ok(tokens) => tokens,
            Err(reason) => {
                tracing::warn!(
                    path = %path.display(),
                    reason,
                    "the persisted tokens cannot be used; new ones will be fetched"
                );
                Vec::new()
            }
        };
        let tokens = tokens.into_iter();
        let tokens = tokens.map(|(identity, audience, token)| ((identity, audience), token));
        let tokens = Mutex::new(tokens.collect());
        let (changes, written) = (AtomicU64::new(0), Mutex::new(0));
        Self(Arc::new(Inner { path, key, tokens, changes, written }))
    }

    /// Whether its key is this one.
    #[must_use]
    pub fn has_key(&self, key: &PersistKey) -> bool {
        self.0.key.bytes() == key.bytes()
    }

    /// Whether both are the same file, opened once.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Writes the tokens, if they changed. The caches do so themselves, in the background, after
    /// every renewal; a program calls this before it exits. Blocks while it writes.
    ///
    /// # Errors
    ///
    /// If the file cannot be written. The tokens stay in memory.
    pub fn flush(&self) -> std::io::Result<()> {
        let mut written = self.0.written.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = self.0.changes.load(Ordering::SeqCst);
        if *written == changes {
            return Ok(());
        }
        let plain = {
            let tokens = self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            let tokens = tokens.iter();
            encode(tokens.map(|((identity, audience), token)| (identity.as_str(), audience, token)))
        };
        write(&self.0.path, &encrypt(&self.0.key, plain)?)?;
        *written = changes;
        Ok(())
    }

    /// The persisted token, if it is valid.
    pub(super) fn get(
        &self,
        identity: &str,
        audience: &Audience,
        wall: Duration,
    ) -> Option<PersistedToken> {
        let tokens = self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let token = tokens.get(&(identity.to_owned(), audience.clone()));
        token.filter(|token| token.is_valid(wall)).cloned()
    }

    /// Adds a token, and removes those that have expired.
    pub(super) fn put(
        &self,
        identity: &str,
        audience: &Audience,
        token: PersistedToken,
        wall: Duration,
    ) {
        let mut tokens = self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, token| token.is_valid(wall));
        tokens.insert((identity.to_owned(), audience.clone()), token);
        self.0.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// Removes the tokens of an identity, or only the one for an audience. Returns the audiences of
    /// the removed tokens. The next [`flush`](Self::flush) removes them from the file.
    pub fn forget(&self, identity: &str, audience: Option<&Audience>) -> Vec<Audience> {
        let mut tokens = self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let removed = tokens.extract_if(|(of, token_audience), _| {
            of == identity && audience.is_none_or(|audience| audience == token_audience)
        });
        let removed: Vec<_> = removed.map(|((_, audience), _)| audience).collect();
        if !removed.is_empty() {
            self.0.changes.fetch_add(1, Ordering::SeqCst);
        }
        removed
    }

    /// [`flush`](Self::flush) on a blocking thread. A failure is logged.
    pub(super) async fn flush_in_background(self) {
        let path = self.0.path.clone();
        let flushed = tokio::task::spawn_blocking(move || self.flush()).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(
                path = %path.display(),
                %error,
                "the tokens cannot be persisted; a restart will fetch new ones"
            );
        }
    }
}

impl fmt::Debug for Persistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Persistence").field("path", &self.0.path).finish_non_exhaustive()
    }
}

fn read(path: &Path, key: &PersistKey) -> Result<Vec<(String, Audience, PersistedToken)>, String> {
    let failed = |error: Error| error.to_string();
    let file = match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.is_file() => return Err("it is not a regular file".to_owned()),
        Ok(metadata) if metadata.len() > MAX_LENGTH => return Err("it is too long".to_owned()),
        Ok(_) => File::open(path).map_err(failed)?,
    };
    let mut encrypted = Vec::new();
    file.take(MAX_LENGTH).read_to_end(&mut encrypted).map_err(failed)?;
    let plain = decrypt(key, encrypted)?;
    decode(&plain).ok_or_else(|| "its contents are malformed".to_owned())
}

fn cipher(key: &PersistKey) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, key.bytes()).ok().map(LessSafeKey::new)
}

/// Encrypts with a random nonce. A key encrypts far fewer than 2^32 files, the bound for random
/// nonces of 96 bits in [NIST SP 800-38D, 8.3].
///
/// [NIST SP 800-38D, 8.3]: https://doi.org/10.6028/NIST.SP.800-38D
fn encrypt(key: &PersistKey, mut plain: Zeroizing<Vec<u8>>) -> std::io::Result<Vec<u8>> {
    let failed = || Error::other("the tokens cannot be encrypted");
    let mut nonce = [0; NONCE_LEN];
    rand::rng().fill_bytes(&mut nonce);
    let cipher = cipher(key).ok_or_else(failed)?;
    let unique = Nonce::assume_unique_for_key(nonce);
    let tag = cipher.seal_in_place_separate_tag(unique, Aad::from(HEADER), &mut plain);
    let tag = tag.map_err(|_| failed())?;
    Ok([&HEADER[..], &nonce, &plain, tag.as_ref()].concat())
}

fn decrypt(key: &PersistKey, encrypted: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, String> {
    let (header, rest) = encrypted.split_at_checked(HEADER.len()).ok_or("it is truncated")?;
    if header != HEADER {
        return Err("it is not a token file of this version".to_owned());
    }
    let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or("it is truncated")?;
    let cipher = cipher(key).ok_or("it cannot be decrypted")?;
    let mut plain = Zeroizing::new(rest.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let length = match cipher.open_in_place(nonce, Aad::from(HEADER), &mut plain) {
        Ok(opened) => opened.len(),
        Err(_) => return Err("it is damaged, or was encrypted with another key".to_owned()),
    };
    plain.truncate(length);
    Ok(plain)
}

/// Writes a temporary file next to the file, with mode 600, and renames it: readers see the old or
/// the new contents, whole.
fn write(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = path.file_name().ok_or_else(|| Error::other("the path has no file name"))?;
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    let mut file = tempfile::Builder::new().prefix(&prefix).tempfile_in(directory)?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // Only this makes the rename survive a loss of power. A system that cannot do it loses no more
    // than the persisted tokens.
    if cfg!(unix)
        && let Ok(directory) = File::open(directory)
    {
        let _ = directory.sync_all();
    }
    Ok(())
}
