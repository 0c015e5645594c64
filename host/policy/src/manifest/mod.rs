//! What a plugin declares: read from its component, without running it.

mod conditions;
mod parse;
pub use parse::SECTIONS;
pub(crate) use parse::patterns;
mod section;
mod setting;

use std::collections::BTreeMap;
use std::time::Duration;

use keyward_types::Audience;

pub use section::{ManifestError, read_text};
pub(crate) use setting::InvalidSetting;
pub use setting::{Bounds, Setting, SettingKind};

use crate::cloud::{Cloud, CloudService};
use crate::diagnostic::{ConfigError, Diagnostic};
use crate::endpoint::Protocol;
use crate::host_pattern::HostPattern;
use crate::pattern::Pattern;

/// A plugin's manifest.
#[derive(Clone, Debug)]
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
pub struct DeclaredAudience {
    /// Its name.
    pub name: String,
    /// What it is, and where its tokens may go.
    pub service: DeclaredService,
    /// Whether the plugin works without it.
    pub optional: bool,
    /// Values of settings with which the mount must grant it though it is optional; empty for none.
    pub required_if: BTreeMap<String, String>,
    /// What the plugin will send; `None` for anything.
    pub allow: Option<Vec<Pattern>>,
    /// What of its answers is sealed.
    pub seal: Vec<DeclaredSeal>,
}

/// A field of an answer that the plugin may spend, but never see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredSeal {
    /// Where it stands in the answer, as a JSON pointer (RFC 6901): `/serviceSasToken`.
    pub field: String,
    /// The name of the audience at whose endpoint it may be spent.
    pub spend: String,
    /// In which place of a request.
    pub place: SpendPlace,
    /// How long an answer may be used again; `None` for once.
    pub keep: Option<Duration>,
    /// The calls whose answers may hold the value itself, where the configuration hands them out
    /// (`hand_out`).
    pub export: Option<Pattern>,
}

/// The place in a request where a sealed value is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpendPlace {
    /// Parameters of the query, whole: a shared access signature.
    Query,
    /// The password of a login to a database.
    LoginPassword,
}

impl SpendPlace {
    pub(crate) const ALL: [Self; 2] = [Self::Query, Self::LoginPassword];

    /// As a manifest writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::LoginPassword => "login-password",
        }
    }
}

/// What an audience is.
#[derive(Clone, Debug)]
pub enum DeclaredService {
    /// One of these services of the cloud table, by their names there. The endpoint's host decides
    /// which.
    Cloud(Vec<String>),
    /// One that the manifest itself describes.
    Own {
        /// What its tokens are for.
        audience: Audience,
        /// Where they may go.
        hosts: Vec<HostPattern>,
        /// What is spoken there.
        protocol: Protocol,
    },
}

/// An audience as it is in one cloud.
#[derive(Clone, Debug)]
pub struct ResolvedService {
    /// What its tokens are for.
    pub audience: Audience,
    /// Where they may go.
    pub hosts: Vec<HostPattern>,
    /// The port of hosts that do not listen at the protocol's usual one.
    pub ports: Vec<(HostPattern, u16)>,
    /// What is spoken there.
    pub protocol: Protocol,
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
    /// What the audience can be in a cloud: at least one service. A cloud may lack some of those
    /// that a plugin names, but not all.
    ///
    /// # Errors
    ///
    /// The cloud has none of them.
    pub fn resolve(&self, cloud: &Cloud) -> Result<Vec<ResolvedService>, Diagnostic> {
        match &self.service {
            DeclaredService::Own { audience, hosts, protocol } => {
                let (audience, hosts, ports) = (audience.clone(), hosts.clone(), Vec::new());
                Ok(vec![ResolvedService { audience, hosts, ports, protocol: *protocol }])
            }
            DeclaredService::Cloud(names) => {
                let services = names.iter().filter_map(|name| cloud.services.get(name));
                let services = services.map(resolved).collect::<Result<Vec<_>, _>>()?;
                if services.is_empty() {
                    let known: Vec<&str> = cloud.services.keys().map(String::as_str).collect();
                    let message = format!(
                        "the audience `{}` is of the service `{}`, which this cloud lacks",
                        self.name,
                        names.join(" or ")
                    );
                    return Err(Diagnostic::new(None, message).expected(crate::text::one_of(known)));
                }
                Ok(services)
            }
        }
    }
}

fn resolved(service: &CloudService) -> Result<ResolvedService, Diagnostic> {
    let invalid = |error: String| Diagnostic::new(None, error);
    let audience = Audience::new(&service.audience).map_err(|error| invalid(error.to_string()))?;
    let pattern =
        |host: &String| HostPattern::parse(host).map_err(|error| invalid(error.to_string()));
    let hosts = service.hosts.iter().map(pattern).collect::<Result<_, _>>()?;
    let ports = service
        .ports
        .iter()
        .map(|(host, port)| Ok((pattern(host)?, *port)))
        .collect::<Result<_, _>>()?;
    Ok(ResolvedService { audience, hosts, ports, protocol: service.protocol })
}
