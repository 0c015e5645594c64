//! Makes a plan, with the plugins' files that the configuration names.

use keyward_policy::config::Config;
use keyward_policy::diagnostic::ConfigError;
use keyward_policy::plan::{Plan, Plugins};

/// Makes a plan of a configuration: what each mount may do, with the plugins that it names.
/// `plugins` are those that it may name; the files of others are read here.
///
/// Runs no plugin and opens no connection.
///
/// # Errors
///
/// All mistakes, each with its line, what was expected, and what to write instead.
pub fn plan(config: Config, plugins: &Plugins) -> Result<Plan, ConfigError> {
    let mut plugins = plugins.clone();
    for path in config.plugin_files() {
        plugins = plugins.with_file(path, std::fs::read(path).map_err(|error| error.to_string()));
    }
    Plan::new(config, &plugins)
}
