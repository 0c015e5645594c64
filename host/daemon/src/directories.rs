//! Default directories: those that systemd assigns to the service, or the user's.

use std::path::PathBuf;

use crate::environment;

/// The directory for data that can be recreated.
pub(crate) fn cache() -> Option<PathBuf> {
    find("CACHE_DIRECTORY", "XDG_CACHE_HOME", ".cache")
}

/// The directory for data that must persist.
pub(crate) fn state() -> Option<PathBuf> {
    find("STATE_DIRECTORY", "XDG_STATE_HOME", ".local/state")
}

fn find(systemd: &str, xdg: &str, below_home: &str) -> Option<PathBuf> {
    // systemd sets a list, of which the first is the service's own.
    let service = environment::path(systemd).and_then(|list| std::env::split_paths(&list).next());
    service.or_else(|| {
        let home = || environment::path("HOME").map(|home| home.join(below_home));
        environment::path(xdg).or_else(home).map(|user| user.join("keyward"))
    })
}
