//! Plugins: those that the broker was given under names, and those in files.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::features::used_but_off;
use crate::config::PluginRef;
use crate::diagnostic::{Diagnostic, Located};
use crate::manifest::Manifest;
use crate::text::{nearest, one_of};

/// The plugins that a configuration may name: those of a name, and the files that it names.
#[derive(Clone, Debug, Default)]
pub struct Plugins {
    named: BTreeMap<String, Cow<'static, [u8]>>,
    files: BTreeMap<PathBuf, Result<Vec<u8>, String>>,
}

/// A plugin's component, and what it is.
#[derive(Clone)]
pub struct Plugin {
    /// What the configuration calls it: a name, or a file.
    pub label: String,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// The component.
    pub component: Cow<'static, [u8]>,
}

impl Plugins {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
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

    /// Their names.
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
        plugin: &Located<PluginRef>,
        header: &str,
    ) -> Result<(Plugin, Manifest), Diagnostic> {
        let place = || plugin.place.clone();
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
                    Diagnostic::new(place(), format!("cannot read the plugin {label}: {error}"))
                        .expected("a component that the broker may read")
                })?;
                check_sum(&bytes, sha256.as_ref(), &label).map_err(|mut diagnostic| {
                    diagnostic.place = diagnostic.place.or_else(place);
                    diagnostic
                })?;
                (label, Cow::Owned(bytes))
            }
        };
        let manifest = Manifest::of_component(&label, &component).map_err(|error| {
            Diagnostic::new(place(), format!("the plugin {label} cannot be used: {error}"))
        })?;
        refuse_features(&component).map_err(|why| {
            Diagnostic::new(place(), format!("the plugin {label} cannot be used: {why}"))
                .expected(BUILT)
        })?;
        let sha256 = sha256(&component);
        Ok((Plugin { label, sha256, component }, manifest))
    }

    fn unknown(&self, name: &str, plugin: &Located<PluginRef>, header: &str) -> Diagnostic {
        let message = format!("unknown plugin `{name}` in {header}");
        let expected =
            format!("{}, or the path of a component with its `sha256`", one_of(self.names()));
        let diagnostic = Diagnostic::new(plugin.place.clone(), message).expected(expected);
        match nearest(name, self.names()).or_else(|| self.names().next()) {
            Some(suggestion) => diagnostic.write(format!("plugin = {suggestion:?}")),
            None => diagnostic,
        }
    }
}

const BUILT: &str = "a component built without it";

fn refuse_features(component: &[u8]) -> Result<(), String> {
    let used = used_but_off(component);
    if used.is_empty() {
        Ok(())
    } else {
        Err(format!("it uses {}, which is off in the sandbox", used.join(" and ")))
    }
}

fn check_sum(
    bytes: &[u8],
    expected: Option<&Located<String>>,
    label: &str,
) -> Result<(), Diagnostic> {
    let found = sha256(bytes);
    let write = format!("sha256 = \"{found}\"");
    match expected {
        None => {
            let message = format!("the plugin {label} is named without its `sha256`");
            Err(Diagnostic::new(None, message)
                .expected("its SHA-256, so that a changed file is noticed")
                .write(write))
        }
        Some(sum) if sum.value != found => {
            let message = format!("the plugin {label} does not match its `sha256`");
            let expected = "the file that was configured, or, if you trust this one, its sum";
            Err(Diagnostic::new(sum.place.clone(), message).expected(expected).write(write))
        }
        Some(_) => Ok(()),
    }
}

/// The SHA-256 of bytes, in hexadecimal digits, as `sha256sum` prints it.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("label", &self.label)
            .field("sha256", &self.sha256)
            .finish_non_exhaustive()
    }
}
