//! Checks who may connect to the broker's socket, and who could replace it.

use super::finding::{Check, Finding};
use crate::config::Listen;

/// The finding about the socket, and the broker's user.
pub(super) struct SocketReport {
    pub(super) finding: Finding,
    pub(super) user: BrokerUser,
}

/// The user that runs the broker.
#[derive(Clone, Copy, Debug)]
pub(super) struct BrokerUser {
    pub(super) id: u32,
    /// Whether a file's owner is evidence for it. Otherwise it is a guess.
    pub(super) known: bool,
}

#[cfg(not(unix))]
pub(super) fn check(_: Option<&Listen>) -> SocketReport {
    let finding = Finding::about(Check::Socket, "none").skipped("this system has no Unix sockets");
    SocketReport { finding, user: BrokerUser { id: 0, known: false } }
}

#[cfg(unix)]
pub(super) fn check(listen: Option<&Listen>) -> SocketReport {
    let me = BrokerUser { id: rustix::process::geteuid().as_raw(), known: false };
    let Some(listen) = listen else {
        let finding = Finding::about(Check::Socket, "none")
            .skipped("there is no socket without a configuration");
        return SocketReport { finding, user: me };
    };
    let Some(path) = &listen.socket else {
        let finding = Finding::about(Check::Socket, "[listen] socket").skipped("not configured");
        return SocketReport { finding, user: me };
    };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let user = unix::broker_user(&path, me);
    let finding = Finding::about(Check::Socket, path.display().to_string());
    let finding = unix::evaluate(finding, &path, listen.mode, user.id);
    SocketReport { finding, user }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    use std::path::Path;

    use super::{BrokerUser, Finding};
    use crate::sockets;

    /// The mode bit with which only the owner of a file may remove it from a directory.
    const STICKY: u32 = 0o1000;

    /// The owner of the socket; if it does not exist, the owner of its directory, for root, or else
    /// the current user.
    pub(super) fn broker_user(path: &Path, me: BrokerUser) -> BrokerUser {
        let owner = |path: &Path| path.symlink_metadata().ok().map(|metadata| metadata.uid());
        match owner(path) {
            Some(id) => BrokerUser { id, known: true },
            None if me.id == 0 => {
                let directory = path.parent().and_then(owner);
                directory.map_or(me, |id| BrokerUser { id, known: id != 0 })
            }
            None => me,
        }
    }

    pub(super) fn evaluate(finding: Finding, path: &Path, mode: u32, user: u32) -> Finding {
        let state = match check_socket(path, mode) {
            Ok(state) => state,
            Err((found, fix)) => return finding.problem(found).fix(fix),
        };
        let mut warning = None;
        for (number, directory) in path.ancestors().skip(1).enumerate() {
            match check_directory(directory, number == 0, user) {
                Ok(()) => {}
                Err(Risk::Problem(found, fix)) => {
                    return finding.problem(format!("{state}; but {found}")).fix(fix);
                }
                Err(Risk::Warning(found, fix)) => drop(warning.get_or_insert((found, fix))),
            }
        }
        match warning {
            Some((found, fix)) => finding.warning(format!("{state}; but {found}")).fix(fix),
            None => finding.ok(state),
        }
    }

    /// Checks the socket file. Returns its state, or a problem and its fix.
    fn check_socket(path: &Path, mode: u32) -> Result<String, (String, String)> {
        let callers = if mode & 0o070 == 0 { "its owner" } else { "its owner and group" };
        let Ok(metadata) = path.symlink_metadata() else {
            return Ok(format!(
                "it does not exist: no daemon is listening. Its mode will be {mode:04o}, for \
                 {callers}"
            ));
        };
        if !metadata.file_type().is_socket() {
            let path = path.display();
            let fix =
                format!("Remove it, or use another path for `socket` in [listen]\n  rm {path}");
            return Err(("it exists and is not a socket".to_owned(), fix));
        }
        let (actual, owner) = (metadata.mode() & 0o777, metadata.uid());
        if actual & 0o007 != 0 {
            let found = format!("its mode is {actual:04o}: every user of this machine may call");
            return Err((found, format!("chmod {mode:04o} {}", path.display())));
        }
        let listening = match sockets::probe(path) {
            Ok(()) => "a daemon is listening",
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                "this user may not call"
            }
            Err(_) => "no process is listening",
        };
        Ok(format!("{listening}; mode {actual:04o}, owned by user {owner}"))
    }

    /// What was found about a directory, and the fix.
    enum Risk {
        Problem(String, String),
        Warning(String, String),
    }

    /// Checks a directory above the socket. A user who can write to it could replace the socket
    /// with one of their own, and receive what callers send.
    fn check_directory(directory: &Path, is_parent: bool, user: u32) -> Result<(), Risk> {
        // The daemon creates missing directories, and only its own user can write to them.
        let Ok(metadata) = directory.metadata() else { return Ok(()) };
        let (mode, owner, shown) = (metadata.mode(), metadata.uid(), directory.display());
        let sticky = mode & STICKY != 0;
        let chmod = || format!("Use a directory of the broker's own\n  chmod go-w {shown}");
        if owner != 0 && owner != user {
            let found = format!("user {owner} owns {shown}, and can replace the socket");
            let fix = format!("Use a directory of the broker's own\n  chown {user} {shown}");
            return Err(Risk::Problem(found, fix));
        }
        if mode & 0o002 != 0 && !sticky {
            let mode = mode & 0o7777;
            let found = format!(
                "every user can write to {shown} (mode {mode:04o}), and replace the socket"
            );
            return Err(Risk::Problem(found, chmod()));
        }
        if mode & 0o002 != 0 && is_parent {
            let found = format!(
                "every user can write to {shown}, and listen there while the broker is not running"
            );
            let fix = "Set `socket` in [listen] to a path in a directory of the broker's own";
            return Err(Risk::Warning(found, fix.to_owned()));
        }
        if mode & 0o020 != 0 && !sticky {
            let group = metadata.gid();
            let found = format!("group {group} can write to {shown}, and replace the socket");
            return Err(Risk::Warning(found, chmod()));
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
            let mode = |path: &Path, mode| {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            };
            let listener = socket_mode.map(|socket_mode| {
                let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
                mode(&path, socket_mode);
                listener
            });
            mode(directory.path(), directory_mode);
            let me = rustix::process::geteuid().as_raw();
            let finding = evaluate(Finding::about(Check::Socket, "x"), &path, 0o600, me);
            drop(listener);
            (finding.status, finding.found)
        }

        #[test]
        fn a_socket_that_others_can_use_or_replace_is_a_problem() {
            assert_eq!(with(0o700, None).0, Status::Ok);
            let (status, found) = with(0o755, Some(0o600));
            assert!(status == Status::Ok && found.contains("a daemon is listening"), "{found}");
            assert_eq!(with(0o755, Some(0o660)).0, Status::Ok);
            assert_eq!(with(0o755, Some(0o666)).0, Status::Problem);
            assert_eq!(with(0o777, Some(0o600)).0, Status::Problem);
            assert_eq!(with(0o777, None).0, Status::Problem);
            assert_eq!(with(0o1777, Some(0o600)).0, Status::Warning);
            assert_eq!(with(0o775, Some(0o600)).0, Status::Warning);
        }

        #[test]
        fn a_directory_that_another_user_owns_is_a_problem() {
            let directory = tempfile::tempdir().unwrap();
            let me = rustix::process::geteuid().as_raw();
            let Err(risk) = check_directory(directory.path(), true, me + 1) else {
                assert_eq!(me, 0, "directories of root are safe for all users");
                return;
            };
            assert!(matches!(risk, Risk::Problem(..)));
        }
    }
}
