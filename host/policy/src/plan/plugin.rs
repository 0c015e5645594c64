//! Plugins: those that the broker has under names, and those in files.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::features::disabled_features_of;
use crate::config::PluginRef;
use crate::diagnostic::{Diagnostic, Spanned};
use crate::manifest::Manifest;
use crate::text::{nearest, one_of};

/// The plugins that a configuration may use, by name or by file.
#[derive(Clone, Debug, Default)]
pub struct Plugins {
    named: BTreeMap<String, Cow<'static, [u8]>>,
    files: BTreeMap<PathBuf, Result<Vec<u8>, String>>,
}

/// A plugin's component, with its label and digest.
#[derive(Clone)]
pub struct Plugin {
    /// The plugin's name or file in the configuration.
    pub label: String,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// The component.
    pub component: Cow<'static, [u8]>,
}

impl Plugins {
    /// No plugins.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a plugin with a name.
    #[must_use]
    pub fn with(
        mut self,
        name: impl Into<String>,
        component: impl Into<Cow<'static, [u8]>>,
    ) -> Self {
        self.named.insert(name.into(), component.into());
        self
    }

    /// Adds a file that a configuration names ([`Config::plugin_files`]): its bytes, or why it
    /// could not be read.
    ///
    /// [`Config::plugin_files`]: crate::config::Config::plugin_files
    #[must_use]
    pub fn with_file(mut self, path: impl Into<PathBuf>, read: Result<Vec<u8>, String>) -> Self {
        self.files.insert(path.into(), read);
        self
    }

    /// The names of the plugins that have one.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }

    /// The component of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Cow<'static, [u8]>> {
        self.named.get(name)
    }

    /// Finds a plugin, and reads its manifest.
    pub(super) fn load(
        &self,
        plugin: &Spanned<PluginRef>,
        header: &str,
    ) -> Result<(Plugin, Manifest), Diagnostic> {
        let location = || plugin.location.clone();
        let (label, component) = match &plugin.value {
            PluginRef::Bundled(name) => {
                let component =
                    self.named.get(name).ok_or_else(|| self.unknown(name, plugin, header))?;
                (name.clone(), component.clone())
            }
            PluginRef::Bytes { name, component } => (name.clone(), Cow::Owned(component.to_vec())),
            PluginRef::File { path, sha256 } => {
                let label = path.display().to_string();
                let read = self.files.get(path).cloned();
                let bytes = read.unwrap_or_else(|| Err("its file was not loaded".to_owned()));
                let bytes = bytes.map_err(|error| {
                    Diagnostic::new(location(), format!("cannot read the plugin {label}: {error}"))
                        .expected("a component that the broker may read")
                })?;
                check_sha256(&bytes, sha256.as_ref(), &label).map_err(|mut diagnostic| {
                    diagnostic.location = diagnostic.location.or_else(location);
                    diagnostic
                })?;
                (label, Cow::Owned(bytes))
            }
        };
        let manifest = Manifest::of_component(&label, &component).map_err(|error| {
            Diagnostic::new(location(), format!("the plugin {label} cannot be used: {error}"))
        })?;
        reject_disabled_features(&component).map_err(|reason| {
            Diagnostic::new(location(), format!("the plugin {label} cannot be used: {reason}"))
                .expected(BUILT_WITHOUT)
        })?;
        let sha256 = sha256(&component);
        Ok((Plugin { label, sha256, component }, manifest))
    }

    fn unknown(&self, name: &str, plugin: &Spanned<PluginRef>, header: &str) -> Diagnostic {
        let message = format!("unknown plugin `{name}` in {header}");
        let expected =
            format!("{}, or the path of a component with its `sha256`", one_of(self.names()));
        let diagnostic = Diagnostic::new(plugin.location.clone(), message).expected(expected);
        match nearest(name, self.names()).or_else(|| self.names().next()) {
            Some(suggestion) => diagnostic.write(format!("plugin = {suggestion:?}")),
            None => diagnostic,
        }
    }
}

const BUILT_WITHOUT: &str = "a component built without it";

fn reject_disabled_features(component: &[u8]) -> Result<(), String> {
    let used = disabled_features_of(component);
    if used.is_empty() {
        Ok(())
    } else {
        Err(format!("it uses {}, which is disabled in the sandbox", used.join(" and ")))
    }
}

fn check_sha256(
    bytes: &[u8],
    expected: Option<&Spanned<String>>,
    label: &str,
) -> Result<(), Diagnostic> {
    let found = sha256(bytes);
    let write = format!("sha256 = \"{found}\"");
    match expected {
        None => {
            let message = format!("the plugin {label} is named without its `sha256`");
            Err(Diagnostic::new(None, message)
                .expected("its SHA-256, so that a change of the file is detected")
                .write(write))
        }
        Some(sha256) if sha256.value != found => {
            let message = format!("the plugin {label} does not match its `sha256`");
            let expected = "the file that was configured, or, if you trust this one, its SHA-256";
            Err(Diagnostic::new(sha256.location.clone(), message).expected(expected).write(write))
        }
        Some(_) => Ok(()),
    }
}

/// Returns the SHA-256 of bytes in hexadecimal digits, as `sha256sum` prints it.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Equal where the label and the digest are: the components have the same bytes then.
impl PartialEq for Plugin {
    fn eq(&self, other: &Self) -> bool {
        self.label == other.label && self.sha256 == other.sha256
    }
}

impl Eq for Plugin {}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("label", &self.label)
            .field("sha256", &self.sha256)
            .finish_non_exhaustive()
    }
}
