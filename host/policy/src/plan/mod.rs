//! The plan of a configuration and the plugins that it names: for every mount, what is declared ∩
//! configured.
//!
//! Planning runs no plugin and opens no connection. `keyward check` prints the plan, and the broker
//! starts from it.

mod audience;
mod callers;
mod features;
mod hand_out;
mod memory;
mod mount_planner;
mod own_service;
mod plugin;
mod resolve;
mod seals;
mod settings;

use std::collections::BTreeMap;

pub use audience::warning;
pub use features::disabled_features_of;
pub use memory::count_memories;
pub use plugin::{Plugin, Plugins, sha256};

use crate::callers::{Callers, MountCallers};
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
    /// The callers, in the order in which they are matched.
    pub callers: Callers,
    /// The configuration that the plan was made from.
    pub config: Config,
}

/// A mount, with its grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedMount {
    /// Its name.
    pub name: String,
    /// Its plugin.
    pub plugin: Plugin,
    /// Its plugin's manifest.
    pub manifest: Manifest,
    /// Its identity's name.
    pub identity: String,
    /// Its grants: one for each audience that is both declared and configured.
    pub grants: Vec<Grant>,
    /// The variables that the plugin reads from `wasi:config/store`.
    pub variables: BTreeMap<String, String>,
    /// The limits of its calls.
    pub limits: Limits,
    /// The pool of its database connections.
    pub pool: PoolConfig,
    /// The operations whose credentials are handed out to callers.
    pub hand_out: Vec<String>,
    /// The callers that it serves; `None` for all.
    pub callers: Option<MountCallers>,
}

impl Plan {
    /// Combines a configuration with the plugins that it may name.
    ///
    /// # Errors
    ///
    /// All mistakes, each with its line, what was expected, and what to write instead.
    pub fn new(config: Config, plugins: &Plugins) -> Result<Self, ConfigError> {
        let mut diagnostics = Diagnostics::new();
        let mounts = config.mounts.iter();
        let mounts = mounts.filter_map(|(name, mount)| {
            mount_planner::plan(name, mount, &config, plugins, &mut diagnostics)
        });
        let mounts = mounts.collect();
        let callers = callers::sections(&config, &mut diagnostics);
        diagnostics.into_result(Self { mounts, callers, config })
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
