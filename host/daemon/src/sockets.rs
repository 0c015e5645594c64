//! Where the daemon's socket is, where nobody says.

use std::path::PathBuf;

/// `keyward/keyward.sock` in the directory of the user's session, or in `/run` for root.
pub(crate) fn default_socket() -> PathBuf {
    directory().join("keyward/keyward.sock")
}

fn directory() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(directory) if !directory.is_empty() => PathBuf::from(directory),
        _ => PathBuf::from("/run"),
    }
}
