//! Manifests: what plugins declare. They are read from components without running them.

mod conditions;
mod parse;
mod section;
mod setting;

use std::collections::BTreeMap;
use std::time::Duration;

use keyward_types::Audience;

pub use parse::SECTIONS;
pub(crate) use parse::read_patterns;
pub use section::{ManifestError, read_text};
pub(crate) use setting::InvalidSetting;
pub use setting::{Bounds, Setting, SettingKind};

use crate::cloud::{Cloud, CloudService};
use crate::diagnostic::{ConfigError, Diagnostic};
use crate::endpoint::Protocol;
use crate::host_pattern::HostPattern;
use crate::pattern::Pattern;

/// A plugin's manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The plugin's name: lower-case letters, digits and hyphens.
    pub name: String,
    /// A summary, in one line.
    pub summary: String,
    /// Its version, if the manifest has one.
    pub version: Option<String>,
    /// Its audiences. `endpoint` of a mount is for the first.
    pub audiences: Vec<DeclaredAudience>,
    /// The settings that the plugin reads.
    pub settings: BTreeMap<String, Setting>,
}

/// An audience that a plugin declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredAudience {
    /// Its name.
    pub name: String,
    /// The service, which has the audience and its hosts.
    pub service: DeclaredService,
    /// Whether the plugin works without it.
    pub optional: bool,
    /// Values of settings with which an optional audience must be granted; empty for none.
    pub required_if: BTreeMap<String, String>,
    /// The requests that the plugin sends; `None` for any.
    pub allow: Option<Vec<Pattern>>,
    /// The fields of responses that are sealed.
    pub seal: Vec<DeclaredSeal>,
}

/// A field of a response whose value the plugin may spend, but does not see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredSeal {
    /// The field, as a JSON pointer (RFC 6901): `/serviceSasToken`.
    pub field: String,
    /// The name of the audience at whose endpoint it may be spent.
    pub spend: String,
    /// The part of a request where it may be spent.
    pub place: SpendPlace,
    /// How long the response may be cached; `None` for not at all.
    pub keep: Option<Duration>,
    /// The calls whose responses may contain the value itself, if the configuration hands it out
    /// (`hand_out`).
    pub export: Option<Pattern>,
}

/// The part of a request where a sealed value is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpendPlace {
    /// Whole parameters of the query: a shared access signature.
    Query,
    /// The password of a login to a database.
    LoginPassword,
}

impl SpendPlace {
    pub(crate) const ALL: [Self; 2] = [Self::Query, Self::LoginPassword];

    /// Its name in a manifest.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::LoginPassword => "login-password",
        }
    }
}

/// The service that an audience is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeclaredService {
    /// One of these services of the cloud table, by name. The endpoint's host selects it.
    Cloud(Vec<String>),
    /// A service that the manifest describes itself.
    Own {
        /// The audience of its tokens.
        audience: Audience,
        /// The hosts that they may be sent to.
        hosts: Vec<HostPattern>,
        /// The protocol of these hosts.
        protocol: Protocol,
    },
}

/// A service of an audience, in one cloud.
#[derive(Clone, Debug)]
pub struct ResolvedService {
    /// The audience of its tokens.
    pub audience: Audience,
    /// The hosts that they may be sent to.
    pub hosts: Vec<HostPattern>,
    /// The ports of hosts that do not listen at the protocol's default port.
    pub ports: Vec<(HostPattern, u16)>,
    /// The protocol of these hosts.
    pub protocol: Protocol,
}

impl Manifest {
    /// Reads the manifest of a component, without running it. `file` is its name in messages.
    ///
    /// # Errors
    ///
    /// The file is not a component, or has no manifest, or one with mistakes.
    pub fn of_component(file: &str, component: &[u8]) -> Result<Self, ManifestError> {
        let text = read_text(component)?;
        Ok(Self::parse(&format!("{file} (keyward:manifest)"), &text)?)
    }

    /// Parses a manifest. `file` is its name in messages.
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
    /// The services of the audience in a cloud, at least one. A cloud may lack some of the services
    /// that a manifest names, but not all.
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
