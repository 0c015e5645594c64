//! Who may reach the broker's socket, and who may put another one in its place.

use super::finding::{Check, Finding};
use crate::config::Listen;

/// What was found, and who seems to run the broker.
pub(super) struct Looked {
    pub(super) finding: Finding,
    pub(super) user: User,
}

/// Who seems to run the broker.
#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    pub(super) id: u32,
    /// Whether something speaks for it: a socket of theirs.
    pub(super) known: bool,
}

#[cfg(not(unix))]
pub(super) fn check(_: Option<&Listen>) -> Looked {
    let finding = Finding::about(Check::Socket, "none").skipped("there are no Unix sockets on this system");
    Looked { finding, user: User { id: 0, known: false } }
}

#[cfg(unix)]
pub(super) fn check(listen: Option<&Listen>) -> Looked {
    let me = User { id: rustix::process::geteuid().as_raw(), known: false };
    let Some(listen) = listen else {
        let finding = Finding::about(Check::Socket, "none").skipped("without a configuration there is no socket");
        return Looked { finding, user: me };
    };
    let Some(path) = &listen.socket else {
        let finding = Finding::about(Check::Socket, "[listen] socket").skipped("not configured");
        return Looked { finding, user: me };
    };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let user = unix::user(&path, me);
    let finding = unix::judge(Finding::about(Check::Socket, path.display().to_string()), &path, listen.mode, user.id);
    Looked { finding, user }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    use std::path::Path;

    use super::{Finding, User};

    /// The bit with which only an owner may remove what is in a directory.
    const STICKY: u32 = 0o1000;

    /// The socket's owner. Where it is not there, and root looks, the owner of its directory; else who looks.
    pub(super) fn user(path: &Path, me: User) -> User {
        let owner = |path: &Path| path.symlink_metadata().ok().map(|metadata| metadata.uid());
        match owner(path) {
            Some(id) => User { id, known: true },
            None if me.id == 0 => path.parent().and_then(owner).map_or(me, |id| User { id, known: id != 0 }),
            None => me,
        }
    }

    pub(super) fn judge(finding: Finding, path: &Path, mode: u32, user: u32) -> Finding {
        let own = match own(path, mode) {
            Ok(found) => found,
            Err((found, fix)) => return finding.problem(found).fix(fix),
        };
        let mut warning = None;
        for (number, directory) in path.ancestors().skip(1).enumerate() {
            match around(directory, number == 0, user) {
                Ok(()) => {}
                Err(Danger::Sure(found, fix)) => return finding.problem(format!("{own}; but {found}")).fix(fix),
                Err(Danger::Perhaps(found, fix)) => drop(warning.get_or_insert((found, fix))),
            }
        }
        match warning {
            Some((found, fix)) => finding.warning(format!("{own}; but {found}")).fix(fix),
            None => finding.ok(own),
        }
    }

    /// The socket itself, or what it will be.
    fn own(path: &Path, mode: u32) -> Result<String, (String, String)> {
        let group = if mode & 0o070 == 0 { "its owner" } else { "its owner and group" };
        let Ok(metadata) = path.symlink_metadata() else {
            return Ok(format!("not there: no daemon listens. It will be of mode {mode:04o}, for {group}"));
        };
        if !metadata.file_type().is_socket() {
            let fix = format!("Move it away, or name another `socket` in [listen]\n  rm {}", path.display());
            return Err(("it exists and is not a socket".to_owned(), fix));
        }
        let (there, owner) = (metadata.mode() & 0o777, metadata.uid());
        if there & 0o007 != 0 {
            let found = format!("it is of mode {there:04o}, and every user of this machine may call");
            return Err((found, format!("chmod {mode:04o} {}", path.display())));
        }
        let listens = match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => "a daemon listens",
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => "this user may not call",
            Err(_) => "no process listens",
        };
        Ok(format!("{listens}; mode {there:04o}, of user {owner}"))
    }

    enum Danger {
        Sure(String, String),
        Perhaps(String, String),
    }

    /// A directory above the socket. Who may write in it may put a socket of their own in place of the broker's, and get
    /// what callers send.
    fn around(directory: &Path, first: bool, user: u32) -> Result<(), Danger> {
        // What is not there yet is made by the daemon, for its own user only.
        let Ok(metadata) = directory.metadata() else { return Ok(()) };
        let (mode, owner, shown) = (metadata.mode(), metadata.uid(), directory.display());
        let sticky = mode & STICKY != 0;
        let own = || format!("Use a directory of the broker's own\n  chmod go-w {shown}");
        if owner != 0 && owner != user {
            let found = format!("{shown} belongs to user {owner}, who may put another socket in its place");
            return Err(Danger::Sure(found, format!("Use a directory of the broker's own\n  chown {user} {shown}")));
        }
        if mode & 0o002 != 0 && !sticky {
            let found = format!(
                "every user may write in {shown} (mode {:04o}), and put another socket in its place",
                mode & 0o7777
            );
            return Err(Danger::Sure(found, own()));
        }
        if mode & 0o002 != 0 && first {
            let found = format!("every user may write in {shown}, and listen there while the broker does not run");
            return Err(Danger::Perhaps(
                found,
                "Name a `socket` in a directory of the broker's own, in [listen]".to_owned(),
            ));
        }
        if mode & 0o020 != 0 && !sticky {
            let group = metadata.gid();
            let found = format!("the group {group} may write in {shown}, and put another socket in its place");
            return Err(Danger::Perhaps(found, own()));
        }
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use std::os::unix::fs::PermissionsExt;

        use super::super::super::finding::{Check, Status};
        use super::*;

        fn with(directory_mode: u32, socket_mode: Option<u32>) -> (Status, String) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("k.sock");
            let mode =
                |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            let listener = socket_mode.map(|socket_mode| {
                let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
                mode(&path, socket_mode);
                listener
            });
            mode(directory.path(), directory_mode);
            let me = rustix::process::geteuid().as_raw();
            let finding = judge(Finding::about(Check::Socket, "x"), &path, 0o600, me);
            drop(listener);
            (finding.status, finding.found)
        }

        #[test]
        fn a_socket_is_its_owners_and_in_a_directory_where_nobody_else_writes() {
            assert_eq!(with(0o700, None).0, Status::Ok);
            let (status, found) = with(0o755, Some(0o600));
            assert!(status == Status::Ok && found.contains("a daemon listens"), "{found}");
            assert_eq!(with(0o755, Some(0o660)).0, Status::Ok);
            assert_eq!(with(0o755, Some(0o666)).0, Status::Problem);
            assert_eq!(with(0o777, Some(0o600)).0, Status::Problem);
            assert_eq!(with(0o777, None).0, Status::Problem);
            assert_eq!(with(0o1777, Some(0o600)).0, Status::Warning);
            assert_eq!(with(0o775, Some(0o600)).0, Status::Warning);
        }

        #[test]
        fn a_directory_of_somebody_else_is_no_place_for_a_socket() {
            let directory = tempfile::tempdir().unwrap();
            let me = rustix::process::geteuid().as_raw();
            let Err(danger) = around(directory.path(), true, me + 1) else {
                assert_eq!(me, 0, "root's directories are good for everybody");
                return;
            };
            assert!(matches!(danger, Danger::Sure(..)));
        }
    }
}
