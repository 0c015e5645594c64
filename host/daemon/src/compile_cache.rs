//! Where compiled plugins are kept, where the configuration does not say.

use std::path::PathBuf;

use keyward::config::{CompileCache, Config};

/// Gives a configuration that says nothing a place to keep compiled plugins: systemd's cache directory, or the user's.
pub(crate) fn settle(config: &mut Config) {
    if config.compile_cache == CompileCache::Unset {
        config.compile_cache = directory().map_or(CompileCache::Off, CompileCache::Directory);
    }
}

fn directory() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // systemd's `CacheDirectory=` gives a list, of which the first is the service's own.
    let systemd = variable("CACHE_DIRECTORY").and_then(|list| std::env::split_paths(&list).next());
    systemd
        .map(|directory| directory.join("compiled"))
        .or_else(|| variable("XDG_CACHE_HOME").map(|home| home.join("keyward/compiled")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/keyward/compiled")))
}
