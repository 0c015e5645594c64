//! Where the daemon's socket and its certificate are, where nobody says.

use std::path::PathBuf;

/// `keyward/keyward.sock` in the directory of the user's session, or in `/run` for root.
pub(crate) fn default_socket() -> PathBuf {
    directory().join("keyward/keyward.sock")
}

/// `keyward/tls` in the directory for the user's state, or systemd's for the service.
pub(crate) fn default_tls_directory() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let systemd = variable("STATE_DIRECTORY").and_then(|list| std::env::split_paths(&list).next());
    systemd
        .map(|directory| directory.join("tls"))
        .or_else(|| variable("XDG_STATE_HOME").map(|home| home.join("keyward/tls")))
        .or_else(|| variable("HOME").map(|home| home.join(".local/state/keyward/tls")))
        .unwrap_or_else(|| PathBuf::from("/var/lib/keyward/tls"))
}

fn directory() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(directory) if !directory.is_empty() => PathBuf::from(directory),
        _ => PathBuf::from("/run"),
    }
}
