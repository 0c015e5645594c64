//! Who else can replace a file: the users who can write to a directory above it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The mode bit with which only the owner of a file may remove it from a directory.
const STICKY: u32 = 0o1000;

/// The file that must not be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protected {
    /// A socket, which does not exist while the daemon is not running.
    Socket,
    /// A key.
    Key,
    /// A file that decides whose proofs are accepted: certificates of authorities, or public keys.
    Trusted,
    /// The file of locks.
    Locks,
}

impl Protected {
    const fn name(self) -> &'static str {
        match self {
            Self::Socket => "the socket",
            Self::Key => "the key",
            Self::Trusted => "the file that says whose proofs are accepted",
            Self::Locks => "the file of locks",
        }
    }
}

/// What was found about a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) found: String,
    /// What to do about it.
    pub(crate) fix: String,
    /// The command that does it.
    pub(crate) command: Option<String>,
}

impl Finding {
    /// What to do about it, in one line.
    pub(crate) fn help(&self) -> String {
        let command = self.command.as_ref().map(|command| format!(": {command}"));
        format!("{}{}", self.fix, command.unwrap_or_default())
    }
}

enum Risk {
    Problem(Finding),
    Warning(Finding),
}

/// Checks the directories above a file of this user, and returns warnings.
///
/// A group that can write to a directory is a warning only, because on many systems each user has a
/// group of their own. So is a sticky directory such as `/tmp`: only the owner of a socket can
/// remove it from there. Another user can listen there first while the daemon is not running, but
/// then the daemon does not start.
///
/// # Errors
///
/// Other users can replace the file.
pub(crate) fn check(file: &Path, protected: Protected, user: u32) -> Result<Vec<Finding>, Finding> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let mut directories: Vec<PathBuf> = file.ancestors().skip(1).map(Path::to_owned).collect();
    let parent = directories.first().cloned();
    // Where links lead to.
    let resolved = file.canonicalize().ok().and_then(|file| file.parent().map(Path::to_owned));
    let resolved = resolved.or_else(|| parent.as_deref()?.canonicalize().ok());
    for directory in resolved.iter().flat_map(|directory| directory.ancestors()) {
        if !directories.iter().any(|known| known == directory) {
            directories.push(directory.to_owned());
        }
    }
    let mut warnings = Vec::new();
    for directory in &directories {
        let is_parent = Some(directory) == parent.as_ref() || Some(directory) == resolved.as_ref();
        match risk(directory, is_parent, protected, user) {
            None => {}
            Some(Risk::Problem(finding)) => return Err(finding),
            Some(Risk::Warning(finding)) => warnings.push(finding),
        }
    }
    Ok(warnings)
}

/// Checks an open file whose contents only this user and root may change. `path` is only for the
/// message: [`check`] is for the directories above it.
///
/// # Errors
///
/// Other users can change the file.
pub(crate) fn check_opened(
    path: &Path,
    metadata: &Metadata,
    protected: Protected,
    user: u32,
) -> Result<(), Finding> {
    let (owner, mode, shown) = (metadata.uid(), metadata.mode() & 0o7777, path.display());
    let finding = |found: String, command: String| Finding {
        found,
        fix: "Let only the broker's user and root change it".to_owned(),
        command: Some(command),
    };
    if owner != 0 && owner != user {
        let found = format!("user {owner} owns {shown}, and can change {}", protected.name());
        return Err(finding(found, format!("chown {user} {shown}")));
    }
    let who = match mode & 0o022 {
        0 => return Ok(()),
        0o020 => format!("group {}", metadata.gid()),
        _ => "every user".to_owned(),
    };
    let found = format!("{who} can change {shown} (mode {mode:04o}), {}", protected.name());
    Err(finding(found, format!("chmod go-w {shown}")))
}

/// The risk of a directory above a file. Who can write to it could put another file in its place.
fn risk(directory: &Path, is_parent: bool, protected: Protected, user: u32) -> Option<Risk> {
    // The daemon creates missing directories, and only its own user can write to them.
    let metadata = directory.metadata().ok()?;
    let link = directory.symlink_metadata().ok()?;
    let (mode, shown, name) = (metadata.mode(), directory.display(), protected.name());
    let sticky = mode & STICKY != 0;
    let finding = |found: String, command: String| Finding {
        found,
        fix: "Use a directory of the broker's own".to_owned(),
        command: Some(command),
    };
    let chmod = || format!("chmod go-w {shown}");
    let foreign = [metadata.uid(), link.uid()].into_iter().find(|id| *id != 0 && *id != user);
    if let Some(owner) = foreign {
        let found = format!("user {owner} owns {shown}, and can replace {name}");
        return Some(Risk::Problem(finding(found, format!("chown {user} {shown}"))));
    }
    if mode & 0o002 != 0 && !sticky {
        let mode = mode & 0o7777;
        let found =
            format!("every user can write to {shown} (mode {mode:04o}), and replace {name}");
        return Some(Risk::Problem(finding(found, chmod())));
    }
    if mode & 0o002 != 0 && is_parent && protected == Protected::Socket {
        let found = format!(
            "every user can write to {shown}, and listen there while the broker is not running"
        );
        let fix = "Set `socket` in [listen] to a path in a directory of the broker's own";
        return Some(Risk::Warning(Finding { found, fix: fix.to_owned(), command: None }));
    }
    if mode & 0o020 != 0 && !sticky {
        let group = metadata.gid();
        let found = format!("group {group} can write to {shown}, and replace {name}");
        return Some(Risk::Warning(finding(found, chmod())));
    }
    None
}

/// The user that runs the daemon at a socket, and whether a file is evidence for it: the owner of
/// the socket; if it does not exist, the owner of its directory, for root, or else the current
/// user.
pub(crate) fn broker_user(socket: &Path) -> (u32, bool) {
    let me = rustix::process::geteuid().as_raw();
    let owner = |path: &Path| path.symlink_metadata().ok().map(|metadata| metadata.uid());
    match owner(socket) {
        Some(id) => (id, true),
        None if me == 0 => {
            let directory = socket.parent().and_then(owner);
            directory.map_or((me, false), |id| (id, id != 0))
        }
        None => (me, false),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn me() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    /// What is found with a directory of this mode: `None` for a problem, or the warnings.
    fn with(mode: u32, protected: Protected) -> Option<usize> {
        let directory = tempfile::tempdir().unwrap();
        set_mode(directory.path(), mode);
        check(&directory.path().join("x"), protected, me()).ok().map(|warnings| warnings.len())
    }

    #[test]
    fn a_directory_that_every_user_can_write_is_a_problem_unless_it_is_sticky() {
        for protected in [Protected::Socket, Protected::Key] {
            assert_eq!(with(0o700, protected), Some(0));
            assert_eq!(with(0o755, protected), Some(0));
            assert_eq!(with(0o775, protected), Some(1));
            assert_eq!(with(0o777, protected), None);
            assert_eq!(with(0o702, protected), None);
        }
        assert_eq!(with(0o1777, Protected::Socket), Some(1));
        assert_eq!(with(0o1777, Protected::Key), Some(0));
    }

    #[test]
    fn all_directories_above_a_file_are_checked_also_behind_links() {
        let directory = tempfile::tempdir().unwrap();
        let (open, link) = (directory.path().join("open"), directory.path().join("link"));
        let inner = open.join("inner");
        std::fs::create_dir_all(&inner).unwrap();
        symlink(&inner, &link).unwrap();
        let check = |path: PathBuf| check(&path, Protected::Socket, me());
        assert_eq!(check(link.join("x")), Ok(Vec::new()));
        set_mode(&open, 0o777);
        for path in [inner.join("x"), link.join("x")] {
            let problem = check(path).unwrap_err();
            assert!(problem.found.contains("mode 0777"), "{problem:?}");
            assert_eq!(problem.command, Some(format!("chmod go-w {}", open.display())));
        }
    }

    #[test]
    fn a_directory_that_another_user_owns_is_a_problem() {
        let directory = tempfile::tempdir().unwrap();
        let checked = check(&directory.path().join("x"), Protected::Socket, me() + 1);
        match checked {
            Err(problem) => assert!(problem.found.contains("owns"), "{problem:?}"),
            Ok(_) => assert_eq!(me(), 0, "directories of root are safe for all users"),
        }
    }

    #[test]
    fn a_file_that_others_can_change_is_a_problem() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("keys.json");
        std::fs::write(&file, "{}").unwrap();
        let check = |mode: u32, user: u32| {
            set_mode(&file, mode);
            let metadata = file.metadata().unwrap();
            let checked = check_opened(&file, &metadata, Protected::Trusted, user);
            checked.map_err(|finding| finding.found)
        };
        assert_eq!(check(0o644, me()), Ok(()));
        assert!(check(0o664, me()).unwrap_err().starts_with("group "));
        assert!(check(0o646, me()).unwrap_err().starts_with("every user "));
        match check(0o644, me() + 1) {
            Err(found) => assert!(found.contains("owns"), "{found}"),
            Ok(()) => assert_eq!(me(), 0, "files of root are safe for all users"),
        }
    }
}
