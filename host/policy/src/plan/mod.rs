//! What a configuration comes to, with the plugins that it names: declared ∩ configured, for every
//! mount.
//!
//! Making a plan runs no plugin and opens no connection. `keyward check` prints it; the broker's
//! start lives by it.

mod audience;
mod features;
mod hand_out;
mod memory;
mod mount;
mod own;
mod plugin;
mod resolve;
mod seals;
mod settings;

use std::collections::BTreeMap;

pub use audience::warning;
pub use features::used_but_off;
pub use plugin::{Plugin, Plugins, sha256};

use crate::cloud::Cloud;
use crate::config::{Config, IdentityConfig, Limits, PoolConfig};
use crate::diagnostic::{ConfigError, Diagnostics};
use crate::grant::Grant;
use crate::manifest::Manifest;

/// A configuration that fits its plugins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The mounts, in the order of their names.
    pub mounts: Vec<PlannedMount>,
    /// The configuration that it was made of.
    pub config: Config,
}

/// A mount, with what it may do.
#[derive(Clone, Debug)]
pub struct PlannedMount {
    /// Its name.
    pub name: String,
    /// Its plugin.
    pub plugin: Plugin,
    /// What the plugin declares.
    pub manifest: Manifest,
    /// Its identity's name.
    pub identity: String,
    /// What it may do: one grant for each audience that is both declared and configured.
    pub grants: Vec<Grant>,
    /// What `wasi:config/store` holds for the plugin.
    pub variables: BTreeMap<String, String>,
    /// What a call may use.
    pub limits: Limits,
    /// How its database connections are kept.
    pub pool: PoolConfig,
    /// The operations whose credentials are handed out to callers.
    pub hand_out: Vec<String>,
}

impl Plan {
    /// Fits a configuration to plugins. `plugins` are those that it may name.
    ///
    /// # Errors
    ///
    /// All mistakes, each with its line, what was expected, and what to write instead.
    pub fn new(config: Config, plugins: &Plugins) -> Result<Self, ConfigError> {
        let mut diagnostics = Diagnostics::new();
        let mounts = config.mounts.iter();
        let mounts = mounts.filter_map(|(name, mount)| {
            mount::plan(name, mount, &config, plugins, &mut diagnostics)
        });
        let mounts = mounts.collect();
        diagnostics.into_result(Self { mounts, config })
    }

    /// The cloud.
    #[must_use]
    pub fn cloud(&self) -> &Cloud {
        &self.config.cloud
    }

    /// The identities, by name.
    #[must_use]
    pub fn identities(&self) -> &BTreeMap<String, IdentityConfig> {
        &self.config.identities
    }
}
