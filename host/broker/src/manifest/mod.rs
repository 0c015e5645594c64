//! What a plugin declares: read from its component, without running it.

mod parse;
pub(crate) use parse::patterns;
mod section;

use std::collections::BTreeMap;

use keyward_identity::Audience;

pub use section::{ManifestError, read_text};

use crate::cloud::Cloud;
use crate::config::{ConfigError, Diagnostic};
use crate::grant::{HostPattern, Pattern};

/// A plugin's manifest.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Manifest {
    /// The plugin's name: lower-case letters, digits and hyphens.
    pub name: String,
    /// What it is, in a line.
    pub summary: String,
    /// Its version, where it says one.
    pub version: Option<String>,
    /// Its audiences. The first is the mount's endpoint.
    pub audiences: Vec<DeclaredAudience>,
    /// The settings it reads.
    pub settings: BTreeMap<String, Setting>,
}

/// An audience that a plugin declares.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeclaredAudience {
    /// Its name.
    pub name: String,
    /// What it is, and where its tokens may go.
    pub service: DeclaredService,
    /// Whether the plugin works without it.
    pub optional: bool,
    /// What the plugin will send; `None` for anything.
    pub allow: Option<Vec<Pattern>>,
}

/// What an audience is.
#[derive(Clone, Debug)]
pub enum DeclaredService {
    /// A service of the cloud table, by its name there.
    Cloud(String),
    /// One that the manifest itself describes.
    Own {
        /// What its tokens are for.
        audience: Audience,
        /// Where they may go.
        hosts: Vec<HostPattern>,
    },
}

/// An audience as it is in one cloud.
#[derive(Clone, Debug)]
pub struct ResolvedService {
    /// What its tokens are for.
    pub audience: Audience,
    /// Where they may go.
    pub hosts: Vec<HostPattern>,
    /// Whether the service reads paths without regard to case.
    pub paths_ignore_case: bool,
}

/// A setting that a plugin reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// What it is for, in a line.
    pub summary: Option<String>,
    /// The values that it may have; empty for any.
    pub values: Vec<String>,
    /// Its value where the configuration gives none.
    pub default: Option<String>,
    /// Whether it is a table of texts, in a section of its own, and not one value.
    pub table: bool,
    /// Whether the configuration must give it.
    pub required: bool,
}

impl Manifest {
    /// Reads the manifest of a component, without running it. `file` is its name in messages.
    ///
    /// # Errors
    ///
    /// The file is no component, has no manifest, or one with mistakes.
    pub fn of_component(file: &str, component: &[u8]) -> Result<Self, ManifestError> {
        let text = read_text(component)?;
        Ok(Self::parse(&format!("{file} (keyward:manifest)"), &text)?)
    }

    /// Reads a manifest.
    ///
    /// # Errors
    ///
    /// All its mistakes.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        parse::manifest(file, text)
    }

    /// The audience of this name.
    #[must_use]
    pub fn audience(&self, name: &str) -> Option<&DeclaredAudience> {
        self.audiences.iter().find(|audience| audience.name == name)
    }
}

impl DeclaredAudience {
    /// The audience in a cloud.
    ///
    /// # Errors
    ///
    /// The cloud has no such service.
    pub fn resolve(&self, cloud: &Cloud) -> Result<ResolvedService, Diagnostic> {
        match &self.service {
            DeclaredService::Own { audience, hosts } => {
                Ok(ResolvedService { audience: audience.clone(), hosts: hosts.clone(), paths_ignore_case: false })
            }
            DeclaredService::Cloud(name) => {
                let unknown = || {
                    let known: Vec<&str> = cloud.services.keys().map(String::as_str).collect();
                    let message =
                        format!("the audience `{}` is of the service `{name}`, which this cloud lacks", self.name);
                    Diagnostic::new(None, message).expected(crate::config::one_of(known))
                };
                let service = cloud.services.get(name).ok_or_else(unknown)?;
                let invalid = |error: String| Diagnostic::new(None, error);
                let audience = Audience::new(&service.audience).map_err(|error| invalid(error.to_string()))?;
                let hosts = service.hosts.iter().map(|host| HostPattern::parse(host));
                let hosts = hosts.collect::<Result<_, _>>().map_err(|error| invalid(error.to_string()))?;
                Ok(ResolvedService { audience, hosts, paths_ignore_case: service.paths_ignore_case })
            }
        }
    }
}
