//! The private key of the TLS listener.

use std::fs::File;
use std::path::Path;

use keyward::identity::key_file::{self, InvalidKey, Protection};

/// A key that cannot be used. The message does not contain the path of the key's file: the
/// configuration may have the key itself in its place by mistake.
#[derive(Debug)]
pub(crate) struct UnusableKey {
    reason: String,
    help: Option<String>,
}

impl UnusableKey {
    /// What to do about it.
    pub(crate) fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl std::fmt::Display for UnusableKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)
    }
}

impl From<InvalidKey> for UnusableKey {
    fn from(error: InvalidKey) -> Self {
        Self { reason: error.to_string(), help: error.help().map(str::to_owned) }
    }
}

/// Opens the file of a key that other users can neither read nor replace. Its group may read it.
///
/// # Errors
///
/// The file cannot be read, or other users have access to it.
pub(crate) fn open(path: &Path) -> Result<File, UnusableKey> {
    let file = key_file::open(path, Protection::GroupMayRead)?;
    #[cfg(unix)]
    check_directories(path)?;
    Ok(file)
}

#[cfg(unix)]
fn check_directories(path: &Path) -> Result<(), UnusableKey> {
    use crate::write_access::{self, Protected};

    let user = rustix::process::geteuid().as_raw();
    write_access::check(path, Protected::Key, user).map(drop).map_err(|problem| UnusableKey {
        reason: format!("the key cannot be used: {}", problem.found),
        help: Some(problem.help()),
    })
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_that_others_can_read_or_replace_is_refused_with_help() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.key");
        std::fs::write(&path, "x").unwrap();
        let set_mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set_mode(&path, 0o640);
        assert!(open(&path).is_ok());
        set_mode(&path, 0o644);
        let error = open(&path).unwrap_err();
        assert!(error.to_string().contains("mode is 644"), "{error}");
        assert!(error.help().unwrap().contains("chmod"), "{error:?}");
        set_mode(&path, 0o600);
        set_mode(directory.path(), 0o777);
        let error = open(&path).unwrap_err();
        assert!(error.to_string().contains("replace the key"), "{error}");
        assert!(error.help().unwrap().contains("chmod go-w"), "{error:?}");
    }
}
