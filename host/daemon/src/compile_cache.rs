//! The default of `compile_cache`.

use keyward_policy::config::{CompileCache, Config};

use crate::directories;

/// Sets `compile_cache` to a directory in [`directories::cache`] if the configuration has none.
pub(crate) fn settle(config: &mut Config) {
    if config.compile_cache == CompileCache::Unset {
        let directory = directories::cache().map(|cache| cache.join("compiled"));
        config.compile_cache = directory.map_or(CompileCache::Off, CompileCache::Directory);
    }
}
