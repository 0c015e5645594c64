//! The daemon's own directories, where nobody says: systemd's for the service, or the user's.

use std::path::PathBuf;

/// For what can be made again.
pub(crate) fn cache() -> Option<PathBuf> {
    own("CACHE_DIRECTORY", "XDG_CACHE_HOME", ".cache")
}

/// For what must stay.
pub(crate) fn state() -> Option<PathBuf> {
    own("STATE_DIRECTORY", "XDG_STATE_HOME", ".local/state")
}

fn own(systemd: &str, xdg: &str, below_home: &str) -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // systemd gives a list, of which the first is the service's own.
    let service = variable(systemd).and_then(|list| std::env::split_paths(&list).next());
    service.or_else(|| {
        let user = variable(xdg).or_else(|| variable("HOME").map(|home| home.join(below_home)));
        user.map(|user| user.join("keyward"))
    })
}
