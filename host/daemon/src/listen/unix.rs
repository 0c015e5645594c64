//! The Unix socket: the kernel says who calls.

use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use keyward::Caller;
use rustix::fs::Mode;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::OwnedSemaphorePermit;

use super::http::Door;
use super::{House, TakesConnections};
use crate::exit::Failure;

/// A socket that is removed again when it is dropped, so that a caller who comes then finds no daemon, rather than one that is
/// leaving.
#[derive(Debug)]
pub(super) struct Bound {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Bound {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

/// Makes the socket, with these permissions from the first moment on.
pub(super) fn bind(path: &Path, mode: u32) -> Result<Bound, Failure> {
    let failed = |error: io::Error| Failure::system(format!("cannot listen at {}: {error}", path.display()));
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(failed)?;
    }
    remove_left_over(path)?;
    // The file is made by `bind`, and until its mode is set only the mask keeps others out.
    let mask = rustix::process::umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    rustix::process::umask(mask);
    let bound = Bound { listener: bound.map_err(failed)?, path: path.to_owned() };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    Ok(bound)
}

/// Removes the socket of a daemon that is no more. One at which somebody answers is left alone, and so is any other file.
fn remove_left_over(path: &Path) -> Result<(), Failure> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(Failure::config(format!("{} exists and is not a socket", path.display())));
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(Failure::system(format!("another daemon listens at {}", path.display())));
    }
    let failed =
        |error| Failure::system(format!("cannot remove the socket that was left at {}: {error}", path.display()));
    std::fs::remove_file(path).map_err(failed)
}

impl TakesConnections for Bound {
    type Connection = std::os::unix::net::UnixStream;

    async fn accept(&self) -> io::Result<(Self::Connection, Caller)> {
        let (stream, _) = self.listener.accept().await?;
        let caller = caller(&stream)?;
        Ok((stream.into_std()?, caller))
    }

    fn serve(&self, connection: Self::Connection, caller: Caller, house: &House, place: OwnedSemaphorePermit) {
        house.serve(|| async { UnixStream::from_std(connection) }, caller, Door::Socket, place);
    }
}

fn caller(stream: &UnixStream) -> io::Result<Caller> {
    let credentials = stream.peer_cred()?;
    Ok(Caller::Process { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid() })
}
