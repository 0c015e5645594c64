//! `[mount.NAME]`: a plugin, reached under a name, and what it may do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyward_types::Audience;

use super::caller::{MOUNT_CALLER, MountCallerConfig, read_mount_caller};
use super::limits::{LIMITS, Limits};
use super::pool::{POOL, PoolConfig};
use crate::diagnostic::{Diagnostic, Location, Spanned};
use crate::document::{DefaultValue, InvalidValue, Key, Section, SectionKeys, check_unexpanded};
use crate::endpoint::Endpoint;
use crate::manifest::read_patterns;
use crate::pattern::Pattern;

/// A mount.
#[derive(Clone, Debug)]
pub struct MountConfig {
    /// Its plugin.
    pub plugin: Spanned<PluginRef>,
    /// Its identity's name; `None` for `default`.
    pub identity: Option<Spanned<String>>,
    /// The configuration of the plugin's first audience.
    pub first: AudienceConfig,
    /// The configuration of its further audiences, by name: `[mount.NAME.audience.X]`.
    pub audiences: BTreeMap<String, AudienceConfig>,
    /// The plugin's settings: `[mount.NAME.settings]`.
    pub settings: BTreeMap<String, Spanned<SettingValue>>,
    /// The limits of its calls: `[mount.NAME.limits]`.
    pub limits: Limits,
    /// The pool of its database connections: `[mount.NAME.pool]`.
    pub pool: PoolConfig,
    /// The operations whose credentials are handed out to callers.
    pub hand_out: Vec<Spanned<String>>,
    /// The names of the callers that it serves; `*` for all that are not named.
    pub callers: Vec<Spanned<String>>,
    /// What its callers may do, by their names: `[mount.NAME.caller.X]`. It serves them too.
    pub caller: BTreeMap<String, MountCallerConfig>,
    /// An older way to write `hand_out` for shared access signatures.
    pub sas_export: Option<Spanned<bool>>,
    /// Its position in the configuration.
    pub location: Option<Location>,
}

/// A reference to a plugin.
#[derive(Clone, Debug)]
pub enum PluginRef {
    /// A plugin that the broker has under a name ([`Plugins::with`](crate::plan::Plugins::with)).
    Bundled(String),
    /// A component in a file, with the SHA-256 of its bytes in hexadecimal digits.
    File {
        /// The file.
        path: PathBuf,
        /// Its SHA-256. A file without one is an error, which has the line to add.
        sha256: Option<Spanned<String>>,
    },
    /// A component in memory.
    Bytes {
        /// Its name in messages.
        name: String,
        /// The component.
        component: Arc<[u8]>,
    },
}

/// The configuration of one audience of a mount.
#[derive(Clone, Debug, Default)]
pub struct AudienceConfig {
    /// The endpoint; `None` for the only host of the service.
    pub endpoint: Option<Spanned<Endpoint>>,
    /// The audience of its tokens, which restates one that the manifest describes itself, by
    /// `resource` and `hosts`. Without it, such an audience is not granted.
    pub resource: Option<Spanned<Audience>>,
    /// Further origins that the service may redirect to. Tokens are sent to those that are hosts of
    /// the audience.
    pub redirects: Vec<Spanned<Endpoint>>,
    /// For a Key Vault that is not the first audience: whether the plugin sees its secrets, which
    /// are sealed otherwise.
    pub unseal: Option<Spanned<bool>>,
    /// The requests that may be sent; `None` for all that the manifest declares.
    pub allow: Option<Vec<Pattern>>,
    /// The position of `allow`.
    pub allow_location: Option<Location>,
    /// Its position in the configuration.
    pub location: Option<Location>,
}

/// The value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingValue {
    /// One value. Plugins get numbers and booleans as strings.
    String(String),
    /// A table of strings.
    Table(BTreeMap<String, String>),
}

impl MountConfig {
    /// A mount of a plugin, with the defaults for everything else.
    #[must_use]
    pub fn new(plugin: PluginRef) -> Self {
        Self {
            plugin: plugin.into(),
            identity: None,
            first: AudienceConfig::default(),
            audiences: BTreeMap::new(),
            settings: BTreeMap::new(),
            limits: Limits::default(),
            pool: PoolConfig::default(),
            hand_out: Vec::new(),
            callers: Vec::new(),
            caller: BTreeMap::new(),
            sas_export: None,
            location: None,
        }
    }

    /// Sets the identity.
    #[must_use]
    pub fn identity(mut self, name: &str) -> Self {
        self.identity = Some(name.to_owned().into());
        self
    }

    /// Sets the endpoint of the first audience.
    #[must_use]
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.first.endpoint = Some(endpoint.into());
        self
    }

    /// Restates the resource of the first audience, which the plugin's manifest describes itself.
    #[must_use]
    pub fn resource(mut self, resource: Audience) -> Self {
        self.first.resource = Some(resource.into());
        self
    }

    /// Sets the requests to the first audience that are allowed.
    #[must_use]
    pub fn allow(mut self, patterns: impl IntoIterator<Item = Pattern>) -> Self {
        self.first.allow = Some(patterns.into_iter().collect());
        self
    }

    /// Grants a further audience.
    #[must_use]
    pub fn audience(mut self, name: &str, config: AudienceConfig) -> Self {
        self.audiences.insert(name.to_owned(), config);
        self
    }

    /// Sets a setting.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), SettingValue::String(value.to_owned()).into());
        self
    }

    /// Hands out the credentials that these operations mint.
    #[must_use]
    pub fn hand_out(mut self, operations: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.hand_out.extend(operations.into_iter().map(|operation| operation.into().into()));
        self
    }

    /// Serves a caller, within these limits.
    #[must_use]
    pub fn caller(mut self, name: &str, config: MountCallerConfig) -> Self {
        self.caller.insert(name.to_owned(), config);
        self
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

const PLUGIN: Key =
    Key::string("plugin", "keyvault", "the name of a bundled plugin, or the path of a component")
        .required();
const SHA256: Key = Key::form(
    "sha256",
    "64 hexadecimal digits, as sha256sum prints them",
    Some("^[0-9a-fA-F]{64}$"),
    "0000000000000000000000000000000000000000000000000000000000000000",
    "the component's SHA-256, required beside a path",
);
const IDENTITY: Key = Key::string("identity", "default", "the name of an identity")
    .default(DefaultValue::String("default"));
const HAND_OUT: Key = Key::strings(
    "hand_out",
    "listKeys",
    "operations whose credentials are handed out to callers ([credentials.md](credentials.md))",
)
.default_is("none");
const CALLERS: Key = Key::strings(
    "callers",
    "web",
    "the callers that the mount serves, by the names of their sections [caller.NAME]; `\"*\"` for \
     every other caller",
)
.default_is(
    "every caller, as long as there is no section [caller.NAME]; else those with a section \
     [mount.NAME.caller.X]",
);
const SAS_EXPORT: Key = Key::boolean("sas_export", "an older way to write `hand_out`")
    .deprecated("hand_out = [\"listServiceSas\"]", "0.2.0");

const ENDPOINT_EXPECTED: &str = "\"https://host\", with a port and a path if the service has them, \
                                 and nothing else; for a database \"sqlserver://host\"";
const ENDPOINT: Key = Key::form(
    "endpoint",
    ENDPOINT_EXPECTED,
    Some("^(https|sqlserver)://[^?#@]+$"),
    "https://contoso.vault.azure.net",
    "the one origin, with a path prefix if there is one, that requests are sent to",
)
.default_is("the only host of the service, if it has only one");
const ALLOW: Key = Key::strings(
    "allow",
    "GET /secrets/*",
    "the requests that may be sent ([permissions.md](permissions.md))",
)
.default_is("everything that the plugin declares");
const REDIRECTS: Key = Key::strings(
    "redirects",
    "https://other.example",
    "further origins that the service may redirect to",
)
.default_is("none");
const RESOURCE: Key = Key::form(
    "resource",
    "the `resource` of the plugin's manifest",
    None,
    "https://api.example.com",
    "restates the audience of a plugin that describes it itself \
     ([plugins.md](plugins.md#audiences-of-ones-own))",
);
const UNSEAL: Key = Key::boolean(
    "unseal",
    "for a Key Vault that is not the mount's first audience: whether the plugin sees its secrets",
)
.default(DefaultValue::Boolean(false));

/// `[mount.NAME]`.
pub(super) const MOUNT: SectionKeys = SectionKeys::new(
    &["mount", "NAME"],
    "A plugin under a name, which begins a path: letters, digits, `-`, `_`, and single dots \
     between them; 64 characters at most. `endpoint`, `allow`, `redirects` and `resource` are for \
     the plugin's first audience.",
    &[
        &PLUGIN,
        &SHA256,
        &IDENTITY,
        &ENDPOINT,
        &ALLOW,
        &REDIRECTS,
        &RESOURCE,
        &UNSEAL,
        &HAND_OUT,
        &CALLERS,
        &SAS_EXPORT,
    ],
)
.names("^[A-Za-z0-9][A-Za-z0-9_-]*(\\.[A-Za-z0-9_-]+)*$");

/// `[mount.NAME.audience.X]`.
pub(super) const AUDIENCE: SectionKeys = SectionKeys::new(
    &["mount", "NAME", "audience", "X"],
    "Grants a further audience of the plugin.",
    &[&ENDPOINT, &ALLOW, &REDIRECTS, &RESOURCE, &UNSEAL],
);

const SETTING: Key = Key::scalar_or_table(
    "SETTING",
    "\"...\"",
    "a setting of the plugin; one that is a table has a section of its own, \
     `[mount.NAME.settings.SETTING]`",
);

/// `[mount.NAME.settings]`.
pub(super) const SETTINGS: SectionKeys = SectionKeys::new(
    &["mount", "NAME", "settings"],
    "The plugin's settings: [services.md](services.md) has those of the bundled plugins, and \
     `keyward inspect PLUGIN` those of any.",
    &[],
)
.entries(&SETTING);

pub(super) fn read(root: &Section<'_>, base: &Path) -> BTreeMap<String, MountConfig> {
    let mut mounts = BTreeMap::new();
    for (name, section) in root.sections(&MOUNT) {
        if !is_mount_name(&name.value) {
            let message = format!("`{}` is not a valid mount name", name.value);
            let expected = "letters, digits, hyphens, underscores and single dots between them, a \
                            letter or digit first: it begins a path";
            section.push(Diagnostic::new(name.location.clone(), message).expected(expected));
        }
        if let Some(mount) = mount(section, base) {
            mounts.insert(name.value, mount);
        }
    }
    mounts
}

/// Whether a name can be the first segment of a path, unencoded. `/-/` is reserved for the daemon.
pub(crate) fn is_mount_name(name: &str) -> bool {
    let has_valid_start = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    let has_valid_characters =
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    has_valid_start
        && has_valid_characters
        && name.split('.').all(|part| !part.is_empty())
        && name.len() <= 64
}

fn mount(section: Section<'_>, base: &Path) -> Option<MountConfig> {
    let location = section.location();
    let plugin = plugin(&section, base);
    if plugin.is_none() && section.location_of(&PLUGIN).is_none() {
        let message = format!("{} has no `plugin`", section.header());
        let expected = "the name of a bundled plugin, or the path of a component with its `sha256`";
        section.push(
            Diagnostic::new(location.clone(), message)
                .expected(expected)
                .write("plugin = \"keyvault\""),
        );
    }
    let first = audience(&section);
    let audiences = section.sections(&AUDIENCE).into_iter().map(|(name, section)| {
        let config = audience(&section);
        section.finish();
        (name.value, config)
    });
    let audiences = audiences.collect();
    let identity = section.string(&IDENTITY);
    let settings = settings(section.section(&SETTINGS));
    let limits = Limits::read(section.section(&LIMITS));
    let pool = PoolConfig::read(section.section(&POOL));
    let hand_out = section.strings(&HAND_OUT).map(|names| names.value).unwrap_or_default();
    let callers = section.strings(&CALLERS).map(|names| names.value).unwrap_or_default();
    let sections = section.sections(&MOUNT_CALLER).into_iter();
    let caller = sections.map(|(name, section)| (name.value, read_mount_caller(section))).collect();
    let sas_export = section.boolean(&SAS_EXPORT);
    section.finish();
    let plugin = plugin?;
    Some(MountConfig {
        plugin,
        identity,
        first,
        audiences,
        settings,
        limits,
        pool,
        hand_out,
        callers,
        caller,
        sas_export,
        location,
    })
}

fn plugin(section: &Section<'_>, base: &Path) -> Option<Spanned<PluginRef>> {
    let plugin = section.string(&PLUGIN);
    let sha256 = section.parsed(&SHA256, |text| {
        let is_sum = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_sum { Ok(text.to_ascii_lowercase()) } else { Err(InvalidValue::default()) }
    });
    let Spanned { value, location } = plugin?;
    let is_path = value.contains(['/', '\\']) || value.ends_with(".wasm");
    if let (true, Err(reason)) = (is_path, check_unexpanded(&value)) {
        section.unexpanded_path(&PLUGIN, &Spanned { value, location }, reason);
        return None;
    }
    if let (false, Some(sum)) = (is_path, &sha256) {
        let message = format!(
            "`sha256` in {} is only for plugins in files; this one is part of this program",
            section.header()
        );
        section.push(Diagnostic::new(sum.location.clone(), message).help("remove this line"));
    }
    let plugin = if is_path {
        PluginRef::File { path: base.join(value), sha256 }
    } else {
        PluginRef::Bundled(value)
    };
    Some(Spanned { value: plugin, location })
}

fn audience(section: &Section<'_>) -> AudienceConfig {
    let endpoint = section.parsed(&ENDPOINT, |text| {
        Endpoint::parse(text).map_err(|error| InvalidValue::because(error.to_string()))
    });
    let redirects = section.strings(&REDIRECTS).map_or_else(Vec::new, |strings| {
        let parsed =
            strings.value.into_iter().filter_map(|string| match Endpoint::parse(&string.value) {
                Ok(value) => Some(Spanned { value, location: string.location }),
                Err(error) => {
                    let message = format!(
                        "`{}` in `redirects` of {} cannot be used: {error}",
                        string.value,
                        section.header()
                    );
                    section.push(
                        Diagnostic::new(string.location, message).expected(ENDPOINT_EXPECTED),
                    );
                    None
                }
            });
        parsed.collect()
    });
    let resource =
        section.parsed(&RESOURCE, |text| Audience::new(text).map_err(|_| InvalidValue::default()));
    AudienceConfig {
        endpoint,
        resource,
        redirects,
        unseal: section.boolean(&UNSEAL),
        allow: read_patterns(section, &ALLOW),
        allow_location: section.location_of(&ALLOW),
        location: section.location(),
    }
}

fn settings(section: Section<'_>) -> BTreeMap<String, Spanned<SettingValue>> {
    let mut settings = BTreeMap::new();
    for name in section.names() {
        let value = if section.has_table(&name.value) {
            let table = section.inner(&name.value);
            let names = table.names();
            let entries = names
                .into_iter()
                .filter_map(|name| Some((table.scalar_entry(&name.value)?.value, name)));
            Some(SettingValue::Table(entries.map(|(value, name)| (name.value, value)).collect()))
        } else {
            section.scalar_entry(&name.value).map(|string| SettingValue::String(string.value))
        };
        if let Some(value) = value {
            settings.insert(name.value, Spanned { value, location: name.location });
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_name_is_valid_unencoded_in_a_path() {
        for name in ["vault", "2nd", "a-b_c", "contoso.dfs.core"] {
            assert!(is_mount_name(name), "{name}");
        }
        for name in [
            "",
            "-",
            ".",
            "..",
            ".a",
            "a.",
            "a..b",
            "a/b",
            "a%2Fb",
            "a b",
            "\u{e4}",
            &"a".repeat(65),
        ] {
            assert!(!is_mount_name(name), "{name}");
        }
    }
}
