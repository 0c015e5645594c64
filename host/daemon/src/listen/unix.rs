//! The Unix socket listener: the kernel identifies each caller.

use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use keyward::Caller;
use rustix::fs::Mode;
use tokio::net::{UnixListener, UnixStream};

use super::prove::{self, Wanted};
use super::site::Site;
use super::{ConnectionPermit, Identified, Listener, Server};
use crate::exit::Failure;
use crate::peer::{self, UnitProof};
use crate::sockets;
use crate::write_access::{self, Protected};

/// A bound Unix socket. Dropping it removes the file, so that later callers find no daemon, rather
/// than one that is shutting down, unless the service manager has bound it.
#[derive(Debug)]
pub(crate) struct SocketListener {
    listener: UnixListener,
    path: PathBuf,
    wanted: Wanted,
    is_own: bool,
}

impl Drop for SocketListener {
    fn drop(&mut self) {
        if self.is_own {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Takes a socket that the service manager has bound to this path. Its permissions are those of the
/// socket unit.
pub(crate) fn adopt(
    listener: std::os::unix::net::UnixListener,
    path: &Path,
    wanted: Wanted,
) -> Result<SocketListener, Failure> {
    check_units(wanted)?;
    check_directories(path)?;
    let listener = UnixListener::from_std(listener).map_err(Failure::system)?;
    Ok(SocketListener { listener, path: path.to_owned(), wanted, is_own: false })
}

/// Binds the socket. At no moment does it have more permissions than `mode`.
pub(crate) fn bind(path: &Path, mode: u32, wanted: Wanted) -> Result<SocketListener, Failure> {
    check_units(wanted)?;
    create_directory(path)?;
    check_directories(path)?;
    remove_stale(path)?;
    // `bind` creates the file, and until its mode is set only the umask restricts it.
    let umask = rustix::process::umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    rustix::process::umask(umask);
    let listener = bound.map_err(|error| cannot_listen(path, &error))?;
    let listener = SocketListener { listener, path: path.to_owned(), wanted, is_own: true };
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, permissions).map_err(|error| cannot_listen(path, &error))?;
    Ok(listener)
}

/// Checks that the units of callers can be proved, if a section asks for them.
fn check_units(wanted: Wanted) -> Result<(), Failure> {
    if wanted.units {
        let proof = peer::check_units().map_err(|error| {
            let failure = Failure::system(format!("cannot prove the units of callers: {error}"));
            error.help().into_iter().fold(failure, Failure::help)
        })?;
        if proof == UnitProof::StartTime {
            tracing::warn!(
                "`unit` of callers is proved less well before Linux 6.5: a process that ends right \
                 after it connected can be mistaken for a later one of the same user. Give each \
                 caller a user of its own"
            );
        }
    }
    Ok(())
}

/// Creates the socket's directory if it does not exist.
pub(super) fn create_directory(path: &Path) -> Result<(), Failure> {
    let parent = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let Some(directory) = parent else { return Ok(()) };
    let created = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(directory);
    created.map_err(|error| cannot_listen(path, &error))
}

/// Refuses a path where other users could replace the socket with one of their own, and receive
/// what callers send.
fn check_directories(path: &Path) -> Result<(), Failure> {
    let user = rustix::process::geteuid().as_raw();
    let warnings = write_access::check(path, Protected::Socket, user).map_err(|problem| {
        let failure =
            Failure::system(format!("cannot listen at {}: {}", path.display(), problem.found));
        failure.help(problem.help())
    })?;
    for warning in warnings {
        tracing::warn!("{}. {}", warning.found, warning.help());
    }
    Ok(())
}

fn cannot_listen(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::system(format!("cannot listen at {}: {error}", path.display()));
    let denied = error.kind() == io::ErrorKind::PermissionDenied;
    if denied && path == Path::new(sockets::SYSTEM_SOCKET) {
        return failure.help(
            "set `socket` in [listen] to a path that this user may create, or XDG_RUNTIME_DIR; \
             without it, the default socket is in /run, where only root can create it",
        );
    }
    failure
}

/// Removes a socket that no daemon listens at. Other files, and sockets in use, are not touched.
fn remove_stale(path: &Path) -> Result<(), Failure> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    let shown = path.display();
    if !metadata.file_type().is_socket() {
        return Err(Failure::config(format!("{shown} exists and is not a socket")));
    }
    if sockets::probe(path).is_ok() {
        return Err(Failure::system(format!("another daemon listens at {shown}")));
    }
    let failed =
        |error| Failure::system(format!("cannot remove the stale socket {shown}: {error}"));
    std::fs::remove_file(path).map_err(failed)
}

impl SocketListener {
    /// Accepts a connection.
    pub(crate) async fn accept_stream(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Listener for SocketListener {
    type Accepted = UnixStream;
    type Connection = std::os::unix::net::UnixStream;

    async fn accept(&self) -> io::Result<Self::Accepted> {
        self.accept_stream().await
    }

    fn identify(&self, stream: Self::Accepted) -> io::Result<(Self::Connection, Caller)> {
        let caller = prove::unix_socket(&stream, self.wanted)?;
        Ok((stream.into_std()?, caller))
    }

    fn serve(
        &self,
        connection: Self::Connection,
        caller: Caller,
        server: &Server,
        permit: ConnectionPermit,
    ) {
        let open = || async { Ok((UnixStream::from_std(connection)?, Identified::now(caller))) };
        server.serve_on_worker(open, Site::Unix, permit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_who_cannot_create_the_default_socket_learns_what_to_set() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let help = |path| format!("{:?}", cannot_listen(Path::new(path), &denied));
        assert!(help(sockets::SYSTEM_SOCKET).contains("XDG_RUNTIME_DIR"));
        assert!(!help("/run/other.sock").contains("XDG_RUNTIME_DIR"));
    }
}
