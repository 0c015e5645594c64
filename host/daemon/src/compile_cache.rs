//! Where compiled plugins are kept, where the configuration does not say.

use keyward_policy::config::{CompileCache, Config};

use crate::directories;

/// Gives a configuration that says nothing a place to keep compiled plugins: systemd's cache directory, or the user's.
pub(crate) fn settle(config: &mut Config) {
    if config.compile_cache == CompileCache::Unset {
        config.compile_cache =
            directories::cache().map_or(CompileCache::Off, |cache| CompileCache::Directory(cache.join("compiled")));
    }
}
