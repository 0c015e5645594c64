//! The configuration, read from a TOML file or made in code.
//!
//! [`Config::from_toml`] reads a file's text and checks it by itself.
//! [`Plan::new`](crate::plan::Plan::new) then checks that it fits the plugins that it names.

mod cloud;
mod egress;
mod identity;
mod limits;
mod mount;
mod pool;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use egress::{EgressConfig, TlsConfig};
pub use identity::{
    IdentityConfig, IdentitySource, ImdsConfig, PersistConfig, PersistKeyConfig, SourceConfig,
};
pub use limits::Limits;
pub use mount::{AudienceConfig, MountConfig, PluginRef, SettingValue};
pub use pool::PoolConfig;

use crate::cloud::Cloud;
use crate::diagnostic::{ConfigError, Diagnostic};
use crate::document::{Document, Key, Section, SectionKeys, WithDefault};

/// The sections of a configuration that this crate reads, in the order of the reference. A program
/// that embeds the broker may have others.
pub const SECTIONS: &[&SectionKeys] = &[
    &cloud::TOP,
    &cloud::CLOUD,
    &cloud::SERVICE,
    &cloud::REDIRECT_NODES,
    &cloud::ROUTES,
    &identity::IDENTITY,
    &mount::MOUNT,
    &mount::AUDIENCE,
    &mount::SETTINGS,
    &limits::LIMITS,
    &pool::POOL,
    &egress::EGRESS,
    &egress::RESOLVE,
    &egress::TLS,
    &COMPILE_CACHE,
];

const ENABLED: WithDefault<bool> =
    WithDefault::<bool>::boolean("enabled", true, "whether compiled plugins are cached");
const DIRECTORY: Key = Key::path(
    "directory",
    "/var/cache/keyward",
    "the cache; it must belong to the daemon's user, and no other user may write there",
)
.default_is("`compiled` in systemd's cache directory, or in `~/.cache/keyward`");

const COMPILE_CACHE: SectionKeys = SectionKeys::new(
    &["compile_cache"],
    "Cache of compiled plugins, which survives restarts.",
    &[&ENABLED.key, &DIRECTORY],
);

/// The configuration of a broker.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cloud: audiences and hosts of its services.
    pub cloud: Cloud,
    /// The identities, by name.
    pub identities: BTreeMap<String, IdentityConfig>,
    /// The mounts, by name.
    pub mounts: BTreeMap<String, MountConfig>,
    /// Connections to services.
    pub egress: EgressConfig,
    /// TLS trust anchors.
    pub tls: TlsConfig,
    /// Cache of compiled plugins.
    pub compile_cache: CompileCache,
    /// Warnings about deprecated keys.
    pub warnings: Vec<Diagnostic>,
}

/// Cache of compiled plugins, which survives restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CompileCache {
    /// Not configured: no cache, unless the program that embeds the broker has a default directory.
    #[default]
    Unset,
    /// No cache.
    Off,
    /// In this directory. It must belong to the user who runs the broker, and no other user may
    /// write in it.
    Directory(PathBuf),
}

impl Config {
    /// An empty configuration for a cloud, without identities and mounts.
    #[must_use]
    pub fn new(cloud: Cloud) -> Self {
        Self {
            cloud,
            identities: BTreeMap::new(),
            mounts: BTreeMap::new(),
            egress: EgressConfig::default(),
            tls: TlsConfig::default(),
            compile_cache: CompileCache::default(),
            warnings: Vec::new(),
        }
    }

    /// The files of plugins that the mounts name. The caller of
    /// [`Plan::new`](crate::plan::Plan::new) reads them and adds them with
    /// [`Plugins::with_file`](crate::plan::Plugins::with_file).
    pub fn plugin_files(&self) -> impl Iterator<Item = &Path> {
        self.mounts.values().filter_map(|mount| match &mount.plugin.value {
            PluginRef::File { path, .. } => Some(path.as_path()),
            PluginRef::Bundled(_) | PluginRef::Bytes { .. } => None,
        })
    }

    /// Reads a configuration. `file` is its name in messages; relative paths in it are relative to
    /// the directory of `file`.
    ///
    /// # Errors
    ///
    /// All mistakes, each with its line, what was expected, and what to write instead.
    pub fn from_toml(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let document = Document::parse(&file.display().to_string(), text)?;
        let config = {
            let root = document.root();
            let config = Self::read(&root, base_directory(file));
            root.finish();
            config
        };
        document.finish(config)
    }

    /// Reads the broker's sections of a document that may have others: `cloud` or `[cloud]`,
    /// `[identity]`, `[mount]`, `[egress]`, `[tls]` and `[compile_cache]`. Mistakes are reported to
    /// the document.
    #[must_use]
    pub fn read(root: &Section<'_>, base: &Path) -> Self {
        Self {
            cloud: cloud::read(root),
            identities: identity::read(root, base),
            mounts: mount::read(root, base),
            egress: egress::read_egress(root),
            tls: egress::read_tls(root, base),
            compile_cache: read_compile_cache(root, base),
            warnings: root.warnings(),
        }
    }
}

fn read_compile_cache(root: &Section<'_>, base: &Path) -> CompileCache {
    let section = root.section(&COMPILE_CACHE);
    let enabled = section.boolean_or_default(&ENABLED);
    let directory = section.path(&DIRECTORY, base).map(|directory| directory.value);
    section.finish();
    match directory {
        _ if !enabled => CompileCache::Off,
        Some(directory) => CompileCache::Directory(directory),
        None => CompileCache::Unset,
    }
}

/// The directory that a configuration's relative paths are relative to.
#[must_use]
pub fn base_directory(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
