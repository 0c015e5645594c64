//! The configuration, read from a TOML file or made in code.
//!
//! [`Config::from_toml`] reads a file's text and checks it by itself.
//! [`Plan::new`](crate::plan::Plan::new) then checks that it fits the plugins that it names.

pub mod caller;
mod cloud;
mod egress;
mod identity;
mod limits;
mod mount;
mod pool;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use caller::{Account, AccountName, CallerConfig, MountCallerConfig, Per, Rate};
pub use egress::{EgressConfig, TlsConfig};
pub use identity::{
    IdentityConfig, IdentitySource, ImdsConfig, PersistConfig, PersistKeyConfig, SourceConfig,
};
pub use limits::Limits;
pub use mount::{AudienceConfig, MountConfig, PluginRef, SettingValue};
pub use pool::PoolConfig;

use crate::cloud::Cloud;
use crate::diagnostic::{ConfigError, Diagnostic, Diagnostics, Spanned};
use crate::document::{Document, Key, Section, SectionKeys, WithDefault};
use crate::text::toml_key;

/// The sections of a configuration that this crate reads, in the order of the reference. A program
/// that embeds the broker may have others.
pub const SECTIONS: &[&SectionKeys] = &[
    &cloud::TOP,
    &cloud::CLOUD,
    &cloud::SERVICE,
    &cloud::REDIRECT_NODES,
    &cloud::ROUTES,
    &identity::IDENTITY,
    &caller::CALLER,
    &mount::MOUNT,
    &mount::AUDIENCE,
    &caller::MOUNT_CALLER,
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
    /// The callers with their names, in the order in which they are matched. If there are none, every
    /// caller may use every mount.
    pub callers: Vec<(String, CallerConfig)>,
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
            callers: Vec::new(),
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
    /// `[identity]`, `[caller]`, `[mount]`, `[egress]`, `[tls]` and `[compile_cache]`. Mistakes are reported to
    /// the document.
    #[must_use]
    pub fn read(root: &Section<'_>, base: &Path) -> Self {
        Self {
            cloud: cloud::read(root),
            identities: identity::read(root, base),
            callers: caller::read(root),
            mounts: mount::read(root, base),
            egress: egress::read_egress(root),
            tls: egress::read_tls(root, base),
            compile_cache: read_compile_cache(root, base),
            warnings: root.warnings(),
        }
    }
}

impl Config {
    /// Replaces the names of users and groups of the callers by their numbers, which `lookup` finds.
    ///
    /// # Errors
    ///
    /// All names that it does not find.
    pub fn resolve_accounts(&mut self, lookup: &dyn AccountLookup) -> Result<(), ConfigError> {
        let mut diagnostics = Diagnostics::new();
        for (name, caller) in &mut self.callers {
            let header = format!("[caller.{}]", toml_key(name));
            let mut resolve =
                |account: &mut Option<Spanned<Account>>, key: &str, find: Find<'_>| {
                    let Some(Spanned { value, location }) = account else { return };
                    let Account::Name(wanted) = &*value else { return };
                    match find(wanted) {
                        Ok(id) => *value = Account::Id(id),
                        Err(UnknownAccount { message, help }) => {
                            let message = format!("`{key}` of {header}: {message}");
                            diagnostics.push(Diagnostic::new(location.clone(), message).help(help));
                        }
                    }
                };
            resolve(&mut caller.user, "user", &|name| lookup.user(name));
            resolve(&mut caller.group, "group", &|name| lookup.group(name));
        }
        diagnostics.into_result(())
    }
}

type Find<'a> = &'a dyn Fn(&str) -> Result<u32, UnknownAccount>;

/// Finds users and groups of the machine.
pub trait AccountLookup {
    /// The number of a user.
    ///
    /// # Errors
    ///
    /// There is none of this name.
    fn user(&self, name: &str) -> Result<u32, UnknownAccount>;

    /// The number of a group.
    ///
    /// # Errors
    ///
    /// There is none of this name.
    fn group(&self, name: &str) -> Result<u32, UnknownAccount>;
}

/// A name that is not that of a user or group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownAccount {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
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
