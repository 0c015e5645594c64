//! Why a broker does not start.

use std::fmt;

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] keyward_policy::diagnostic::ConfigError),
    /// The mounts together may have more calls at once than one process can hold.
    #[error(
        "the mounts allow {wanted} concurrent calls, and one process can hold {most}. Lower \
         `concurrency` in [mount.NAME.limits]"
    )]
    TooManySandboxes {
        /// The sum of all `concurrency`.
        wanted: u32,
        /// The most there can be.
        most: u32,
    },
    /// The engine cannot be made on this machine.
    #[error("cannot create sandboxes on this machine: {why}")]
    Engine {
        /// Why not.
        why: String,
    },
    /// A plugin cannot be used.
    #[error("the plugin {plugin} cannot be used: {why}")]
    Plugin {
        /// What the configuration calls it.
        plugin: String,
        /// Why not.
        why: String,
    },
    /// The directory of compiled plugins is not one that only this user can write in.
    #[error("[compile_cache] directory {} is not used: {why}", path.display())]
    CompileCache {
        /// The directory.
        path: std::path::PathBuf,
        /// Why not.
        why: String,
    },
    /// A mistake in the broker itself, which its plan should have excluded.
    #[error("internal error: {what}. Please report it")]
    Internal {
        /// What is wrong.
        what: String,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

impl StartError {
    pub(crate) fn engine(error: impl fmt::Display) -> Self {
        Self::Engine { why: format!("{error:#}") }
    }

    /// A component that does not compile, or wants what no plugin has.
    pub(crate) fn unusable(
        plugin: &keyward_policy::plan::Plugin,
        error: &dyn fmt::Display,
    ) -> Self {
        let why = format!("{error:#}");
        let why = match why.split_once("component imports ") {
            Some((_, import)) => {
                let import = import.split(", but").next().unwrap_or(import);
                format!(
                    "it wants {import}, which no plugin gets; a plugin may import the world \
                     keyward:broker/plugin"
                )
            }
            None => why,
        };
        Self::Plugin { plugin: plugin.label.clone(), why }
    }
}
