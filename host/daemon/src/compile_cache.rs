//! The directory of compiled plugins: the default of `compile_cache`, and its creation.

use std::fs::DirBuilder;

use keyward::StartError;
use keyward_policy::config::{CompileCache, Config};

use crate::directories;
use crate::exit::Failure;

/// Sets `compile_cache` to a directory in [`directories::cache`] if the configuration has none.
pub(crate) fn settle(config: &mut Config) {
    if config.compile_cache == CompileCache::Unset {
        let directory = directories::cache().map(|cache| cache.join("compiled"));
        config.compile_cache = directory.map_or(CompileCache::Off, CompileCache::Directory);
    }
}

/// Creates the directory if it does not exist, as the broker would, which cannot once the process is
/// confined.
pub(crate) fn create(config: &Config) -> Result<(), Failure> {
    let CompileCache::Directory(path) = &config.compile_cache else { return Ok(()) };
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| {
        let why = format!("it cannot be made: {error}");
        StartError::CompileCache { path: path.clone(), why }.into()
    })
}
