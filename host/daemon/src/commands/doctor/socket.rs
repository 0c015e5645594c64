//! Checks who may connect to the broker's socket, and who could replace it.

use super::finding::{Check, Finding};
use crate::config::Listen;
#[cfg(unix)]
use crate::write_access;

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
    let (id, known) = write_access::broker_user(&path);
    let user = BrokerUser { id, known };
    let finding = Finding::about(Check::Socket, path.display().to_string());
    let finding = unix::evaluate(finding, &path, listen.mode, user.id);
    SocketReport { finding, user }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    use std::path::Path;

    use super::Finding;
    use crate::sockets;
    use crate::write_access::{self, Protected};

    pub(super) fn evaluate(finding: Finding, path: &Path, mode: u32, user: u32) -> Finding {
        let state = match check_socket(path, mode) {
            Ok(state) => state,
            Err((found, fix)) => return finding.problem(found).fix(fix),
        };
        let shown = |found: &write_access::Finding| {
            let command = found.command.as_ref().map(|command| format!("\n  {command}"));
            (
                format!("{state}; but {}", found.found),
                format!("{}{}", found.fix, command.unwrap_or_default()),
            )
        };
        match write_access::check(path, Protected::Socket, user) {
            Err(problem) => {
                let (found, fix) = shown(&problem);
                finding.problem(found).fix(fix)
            }
            Ok(warnings) => match warnings.first() {
                Some(warning) => {
                    let (found, fix) = shown(warning);
                    finding.warning(found).fix(fix)
                }
                None => finding.ok(state),
            },
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
    }
}
