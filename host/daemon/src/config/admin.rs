//! `[admin]`: where the daemon is controlled.

use std::path::{Path, PathBuf};

use keyward_policy::diagnostic::Diagnostic;
use keyward_policy::document::{Key, Section, SectionKeys};

use super::listen::{LONGEST_SOCKET, Listen};

const SOCKET: Key = Key::path(
    "socket",
    "/run/keyward/keyward-admin.sock",
    "a Unix socket, which only root and the daemon's user can connect to",
)
.default_is(
    "beside `socket` of `[listen]`, with `-admin` in its name: `keyward-admin.sock`; without that \
     `socket`, there is none",
);

/// `[admin]`.
pub(super) const ADMIN: SectionKeys = SectionKeys::new(
    &["admin"],
    "Where the daemon is controlled: `keyward reload`, `status`, `wait` and `stop` connect there \
     ([operations.md](operations.md#the-admin-socket)).",
    &[&SOCKET],
);

/// Reads the section. Returns the socket; `None` if there is none.
pub(super) fn admin(root: &Section<'_>, base: &Path, listen: &Listen) -> Option<PathBuf> {
    let section = root.section(&ADMIN);
    let configured = section.path(&SOCKET, base);
    if let Some(socket) = &configured {
        let refuse = |message: String| {
            let diagnostic = Diagnostic::new(socket.location.clone(), message);
            section.push(diagnostic.write(format!("socket = {}", SOCKET.example_toml())));
        };
        let length = socket.value.as_os_str().len();
        if cfg!(not(unix)) {
            refuse("`socket` in [admin]: this system has no Unix sockets".to_owned());
        } else if length > LONGEST_SOCKET {
            refuse(format!(
                "the path of `socket` in [admin] has {length} bytes, and the operating system \
                 takes at most {LONGEST_SOCKET}"
            ));
        } else if listen.socket.as_ref() == Some(&socket.value) {
            refuse(
                "`socket` in [admin] and `socket` in [listen] are the same: callers and \
                 administration need sockets of their own"
                    .to_owned(),
            );
        }
    }
    section.finish();
    match configured {
        Some(socket) => Some(socket.value),
        None => listen.socket.as_deref().and_then(beside).filter(|_| cfg!(unix)),
    }
}

/// `keyward-admin.sock` beside `keyward.sock`; `None` if the path would be too long.
fn beside(socket: &Path) -> Option<PathBuf> {
    let mut name = socket.file_stem()?.to_owned();
    name.push("-admin");
    if let Some(extension) = socket.extension() {
        name.push(".");
        name.push(extension);
    }
    let path = socket.with_file_name(name);
    (path.as_os_str().len() <= LONGEST_SOCKET).then_some(path)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_beside_the_socket_of_callers() {
        let beside = |path: &str| beside(Path::new(path));
        assert_eq!(beside("/run/k/keyward.sock").unwrap(), Path::new("/run/k/keyward-admin.sock"));
        assert_eq!(beside("k").unwrap(), Path::new("k-admin"));
        assert_eq!(beside(&"x".repeat(LONGEST_SOCKET)), None);
    }
}
