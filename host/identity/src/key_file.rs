//! Files with secret keys: who must own them, and who may have access.

use std::fs::{File, Metadata};
use std::path::Path;

/// A key that cannot be used.
///
/// The message contains neither the path nor a credential's name: the configuration may have the
/// key itself in their place by mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key cannot be used: {reason}")]
pub struct InvalidKey {
    reason: String,
    help: Option<&'static str>,
}

impl InvalidKey {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), help: None }
    }

    pub(crate) fn with_help(self, help: &'static str) -> Self {
        Self { help: Some(help), ..self }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help
    }
}

impl From<std::io::Error> for InvalidKey {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Which owners and modes of a key file are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// The current user owns the file, and nobody else has access.
    Private,
    /// The current user or root owns the file, and its group may read it. systemd's credentials
    /// are such files, where an access list may take the place of the group's permissions, and so
    /// are keys for members of a group such as Debian's `ssl-cert`.
    GroupMayRead,
}

/// Opens a key file.
///
/// # Errors
///
/// [`InvalidKey`] if it is not a regular file, its owner or its mode is not valid, or it cannot be
/// read.
pub fn open(path: &Path, protection: Protection) -> Result<File, InvalidKey> {
    // Before it is opened, which would block if it is a FIFO.
    if !path.metadata()?.is_file() {
        return Err(InvalidKey::new("it is not a regular file"));
    }
    let file = File::open(path)?;
    check(&file.metadata()?, protection)?;
    Ok(file)
}

#[cfg(unix)]
fn check(metadata: &Metadata, protection: Protection) -> Result<(), InvalidKey> {
    use std::os::unix::fs::MetadataExt;

    let (mode, owner) = (metadata.mode() & 0o777, metadata.uid());
    let user = rustix::process::geteuid().as_raw();
    let (forbidden, help) = match protection {
        Protection::Private => (0o077, "Run `chmod 600` on it, and make a new key"),
        Protection::GroupMayRead => (0o037, "Run `chmod g-wx,o-rwx` on it, and make a new key"),
    };
    if mode & forbidden != 0 {
        let reason = format!("its mode is {mode:o}, so other users have access");
        return Err(InvalidKey::new(reason).with_help(help));
    }
    if owner != user && !(protection == Protection::GroupMayRead && owner == 0) {
        let reason = format!("user {owner} owns it, not the current user {user}");
        return Err(InvalidKey::new(reason).with_help("Run `chown` on it"));
    }
    Ok(())
}

/// On other systems the access list of the directory protects the file.
#[cfg(not(unix))]
fn check(_metadata: &Metadata, _protection: Protection) -> Result<(), InvalidKey> {
    Ok(())
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn other_users_have_no_access_to_a_key_and_its_group_may_read_some() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, "x").unwrap();
        for (mode, is_private, may_group_read) in [
            (0o600, true, true),
            (0o400, true, true),
            (0o640, false, true),
            (0o440, false, true),
            (0o660, false, false),
            (0o620, false, false),
            (0o604, false, false),
            (0o602, false, false),
            (0o644, false, false),
        ] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(open(&path, Protection::Private).is_ok(), is_private, "{mode:o}");
            assert_eq!(open(&path, Protection::GroupMayRead).is_ok(), may_group_read, "{mode:o}");
        }
        let error = open(&path, Protection::GroupMayRead).unwrap_err();
        assert!(error.to_string().contains("its mode is 644"), "{error}");
        assert!(error.help().unwrap().contains("chmod g-wx,o-rwx"), "{error:?}");
        assert!(open(directory.path(), Protection::GroupMayRead).is_err());
    }
}
