//! The key that encrypts persisted tokens.

use std::fmt;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::key_file::{self, InvalidKey, Protection};
use crate::locked_memory;
use crate::source::Env;

/// A key of 256 bits, in [locked memory](crate::locked_memory).
#[derive(Clone)]
pub struct PersistKey(Bytes);

impl PersistKey {
    /// A key from any other place.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(locked_memory::concat(&[&*Zeroizing::new(key)]))
    }

    /// The key in a file: 32 bytes, or 64 hexadecimal digits (`openssl rand -hex 32`). The current
    /// user must own the file, and nobody else may have access to it.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] if one of these does not hold, or the file cannot be read.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, InvalidKey> {
        Self::read(path.as_ref(), Protection::Private)
    }

    /// The key in a systemd credential (`LoadCredentialEncrypted=`), in the directory
    /// `CREDENTIALS_DIRECTORY`.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] if there is no such credential, or it is not a key.
    pub fn from_credential(name: &str, env: Env<'_>) -> Result<Self, InvalidKey> {
        if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
            let reason = "a credential's name has no slash and does not begin with a dot";
            return Err(InvalidKey::new(reason));
        }
        let directory = env("CREDENTIALS_DIRECTORY").filter(|directory| directory.starts_with('/'));
        let directory = directory.ok_or_else(|| {
            InvalidKey::new("CREDENTIALS_DIRECTORY is not set")
                .with_help("systemd sets it for a unit with LoadCredentialEncrypted=")
        })?;
        Self::read(&Path::new(&directory).join(name), Protection::GroupMayRead)
    }

    fn read(path: &Path, protection: Protection) -> Result<Self, InvalidKey> {
        let file = key_file::open(path, protection)?;
        let mut contents = Zeroizing::new(Vec::with_capacity(128));
        file.take(100).read_to_end(&mut contents)?;
        let key = whole(&contents).or_else(|| hexadecimal(contents.trim_ascii()));
        key.map(|key| Self::new(*key)).ok_or_else(|| {
            InvalidKey::new("expected 32 bytes or 64 hexadecimal digits")
                .with_help("Make a key with `openssl rand -hex 32`")
        })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PersistKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersistKey(..)")
    }
}

fn whole(contents: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    contents.try_into().ok().map(Zeroizing::new)
}

fn hexadecimal(digits: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let value = |byte: &u8| char::from(*byte).to_digit(16).and_then(|v| u8::try_from(v).ok());
    if digits.len() != 64 {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    for (byte, digits) in key.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digits.iter().map(value).try_fold(0, |high, low| Some(high << 4 | low?))?;
    }
    Some(key)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use std::path::PathBuf;

    use super::*;

    fn written(contents: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, contents).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    #[test]
    fn a_key_is_32_bytes_or_64_digits() {
        let digits = "0123456789abcdefABCDEF0123456789".repeat(2);
        for (contents, is_valid) in [
            (&[7_u8; 32][..], true),
            (digits.as_bytes(), true),
            (format!("{digits}\n").as_bytes(), true),
            (&[7; 31], false),
            (&[7; 33], false),
            (b"", false),
            (&digits.as_bytes()[1..], false),
            (digits.replace('0', "g").as_bytes(), false),
            (&[b'0'; 1000], false),
        ] {
            let (_directory, path) = written(contents, 0o600);
            assert_eq!(PersistKey::from_file(&path).is_ok(), is_valid, "{contents:?}");
        }
        let (_directory, path) = written(format!("{digits}\n").as_bytes(), 0o400);
        let key = PersistKey::from_file(&path).unwrap();
        assert_eq!(key.bytes()[..4], [0x01, 0x23, 0x45, 0x67]);
        assert_eq!(format!("{key:?}"), "PersistKey(..)");
    }

    #[test]
    fn a_key_that_other_users_can_access_is_invalid() {
        for (mode, is_valid) in [
            (0o600, true),
            (0o400, true),
            (0o640, false),
            (0o604, false),
            (0o620, false),
            (0o644, false),
        ] {
            let (_directory, path) = written(&[7; 32], mode);
            let key = PersistKey::from_file(&path);
            assert_eq!(key.is_ok(), is_valid, "{mode:o}");
            if let Err(error) = key {
                assert!(error.to_string().contains(&format!("its mode is {mode:o}")), "{error}");
                assert!(error.help().unwrap().contains("chmod 600"), "{error:?}");
            }
        }
        assert!(PersistKey::from_file("/nowhere").is_err());
        assert!(PersistKey::from_file("/").is_err());
    }

    #[test]
    fn a_credential_is_read_from_systemds_directory() {
        let (directory, _path) = written(&[7; 32], 0o440);
        let directory = directory.path().display().to_string();
        let env = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| directory.clone());
        assert!(PersistKey::from_credential("key", &env).is_ok());
        for name in ["", "other", "../key", ".", "/etc/passwd"] {
            assert!(PersistKey::from_credential(name, &env).is_err(), "{name}");
        }
        let unset = PersistKey::from_credential("key", &|_| None).unwrap_err();
        assert!(unset.help().unwrap().contains("LoadCredentialEncrypted="), "{unset:?}");
    }
}
