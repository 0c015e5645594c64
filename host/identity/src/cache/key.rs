//! The key that encrypts the tokens on disk.

use std::fmt;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use crate::source::Env;

/// A key of 256 bits.
#[derive(Clone)]
pub struct PersistKey(Zeroizing<[u8; 32]>);

/// A key that cannot be used.
///
/// Neither the path nor the credential's name is in its message: somebody may have written the key
/// itself in their place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key cannot be used: {what}")]
pub struct InvalidKey {
    what: String,
}

/// Who else may have to do with the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    /// Its owner, who has to be the user that runs this.
    Own,
    /// What systemd made: its owner may be root, and a list of its own may stand in for the group's permissions.
    Systemd,
}

impl PersistKey {
    /// A key from elsewhere.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// The key in a file: 32 bytes, or 64 hexadecimal digits (`openssl rand -hex 32`). The file has to belong to the user
    /// who runs this, and nobody else may read or write it.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] where that is not so.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, InvalidKey> {
        Self::read(path.as_ref(), Readers::Own)
    }

    /// The key in a credential of systemd's (`LoadCredentialEncrypted=`), in the directory that `CREDENTIALS_DIRECTORY`
    /// names.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] where there is none, or it is not a key.
    pub fn from_credential(name: &str, env: Env<'_>) -> Result<Self, InvalidKey> {
        let invalid = |what: &str| InvalidKey { what: what.to_owned() };
        if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(invalid("a credential's name has no slash, and does not begin with a dot"));
        }
        let directory =
            env("CREDENTIALS_DIRECTORY").filter(|directory| directory.starts_with('/')).ok_or_else(|| {
                invalid("CREDENTIALS_DIRECTORY is not set: systemd sets it for a unit with LoadCredentialEncrypted=")
            })?;
        Self::read(&Path::new(&directory).join(name), Readers::Systemd)
    }

    fn read(path: &Path, readers: Readers) -> Result<Self, InvalidKey> {
        let invalid = |what: String| InvalidKey { what };
        let link = path.metadata().map_err(|error| invalid(error.to_string()))?;
        if !link.is_file() {
            return Err(invalid("it is not a regular file".to_owned()));
        }
        let file = std::fs::File::open(path).map_err(|error| invalid(error.to_string()))?;
        let metadata = file.metadata().map_err(|error| invalid(error.to_string()))?;
        check(&metadata, readers).map_err(invalid)?;
        let mut text = Zeroizing::new(Vec::with_capacity(128));
        file.take(100).read_to_end(&mut text).map_err(|error| invalid(error.to_string()))?;
        let key = whole(&text).or_else(|| hexadecimal(text.trim_ascii()));
        let expected = "expected 32 bytes, or 64 hexadecimal digits: make it with `openssl rand -hex 32`";
        key.map(Self).ok_or_else(|| invalid(expected.to_owned()))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for PersistKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersistKey(..)")
    }
}

fn whole(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    text.try_into().ok().map(Zeroizing::new)
}

fn hexadecimal(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if text.len() != 64 {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    for (byte, digits) in key.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digits.iter().map(digit).try_fold(0, |high, low| Some(high << 4 | low?))?;
    }
    Some(key)
}

#[cfg(unix)]
fn check(metadata: &std::fs::Metadata, readers: Readers) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;

    let (mode, owner, own) = (metadata.mode() & 0o777, metadata.uid(), rustix::process::geteuid().as_raw());
    let forbidden = if readers == Readers::Own { 0o077 } else { 0o037 };
    if mode & forbidden != 0 {
        Err(format!("its mode is {mode:o}, and others may use it. Run `chmod 600` on it, and make a new key"))
    } else if owner != own && !(readers == Readers::Systemd && owner == 0) {
        Err(format!("it belongs to user {owner}, and not to {own}, who runs this"))
    } else {
        Ok(())
    }
}

/// Elsewhere the access list of the directory says who may read it.
#[cfg(not(unix))]
fn check(_metadata: &std::fs::Metadata, _readers: Readers) -> Result<(), String> {
    Ok(())
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
        for (contents, fits) in [
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
            assert_eq!(PersistKey::from_file(&path).is_ok(), fits, "{contents:?}");
        }
        let (_directory, path) = written(format!("{digits}\n").as_bytes(), 0o400);
        let key = PersistKey::from_file(&path).unwrap();
        assert_eq!(key.bytes()[..4], [0x01, 0x23, 0x45, 0x67]);
        assert_eq!(format!("{key:?}"), "PersistKey(..)");
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        for (mode, fits) in
            [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false), (0o644, false)]
        {
            let (_directory, path) = written(&[7; 32], mode);
            assert_eq!(PersistKey::from_file(&path).is_ok(), fits, "{mode:o}");
        }
        assert!(PersistKey::from_file("/nowhere").is_err());
        assert!(PersistKey::from_file("/").is_err());
    }

    #[test]
    fn a_credential_is_in_systemds_directory() {
        let (directory, _path) = written(&[7; 32], 0o440);
        let env = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| directory.path().display().to_string());
        assert!(PersistKey::from_credential("key", &env).is_ok());
        for name in ["", "other", "../key", ".", "/etc/passwd"] {
            assert!(PersistKey::from_credential(name, &env).is_err(), "{name}");
        }
        assert!(PersistKey::from_credential("key", &|_| None).is_err());
    }
}
