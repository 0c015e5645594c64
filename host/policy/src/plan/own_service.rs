//! Mounts of audiences that a manifest describes itself. They are granted only if the mount
//! restates `endpoint` and `resource`.

use keyward_types::Audience;

use super::audience::{Reach, join_hosts};
use super::mount_planner::MountPlanner;
use crate::cloud::Cloud;
use crate::config::AudienceConfig;
use crate::diagnostic::{Diagnostic, Location};
use crate::endpoint::Protocol;
use crate::host_pattern::HostPattern;
use crate::manifest::{DeclaredAudience, DeclaredService, ResolvedService};
use crate::text::toml_key;

impl MountPlanner<'_> {
    /// Checks `endpoint` and `resource` of a mount for an audience that the manifest describes
    /// itself, and narrows its hosts to those that its tokens may be sent to. Services of the cloud
    /// table are returned unchanged.
    pub(super) fn check_restated(
        &mut self,
        declared: &DeclaredAudience,
        services: Vec<ResolvedService>,
        configured: &AudienceConfig,
        header: &str,
    ) -> Option<Vec<ResolvedService>> {
        let DeclaredService::Own { audience, hosts, protocol } = &declared.service else {
            return self.check_table_resource(declared, services, configured, header);
        };
        let location = || configured.location.clone().or_else(|| self.mount.location.clone());
        let narrowed = match Reach::classify(audience, self.cloud) {
            reach @ (Reach::Services { .. } | Reach::Restated) => {
                let narrowed = reach.narrow(hosts);
                if narrowed.is_empty() {
                    Err(self.foreign_hosts(location(), declared, &reach))
                } else {
                    Ok(narrowed)
                }
            }
            Reach::OtherCloud { service } => {
                let message = format!(
                    "the plugin of {header} requests tokens for {audience}, which is the audience \
                     of the service `{service}` of another cloud"
                );
                let expected = "a plugin for a service of the configured cloud, or the `cloud` \
                                that has this service";
                Err(Diagnostic::new(location(), message).expected(expected))
            }
            Reach::Unconfigured { description } => {
                Err(self.unconfigured(location(), audience, hosts, description))
            }
        };
        let narrowed = match narrowed {
            Ok(narrowed) => narrowed,
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic);
                return None;
            }
        };
        let restated = configured.resource.as_ref().filter(|resource| resource.value == *audience);
        if configured.endpoint.is_none() || restated.is_none() {
            let diagnostic =
                self.not_restated(audience, (*protocol, &narrowed), configured, header);
            self.diagnostics.push(diagnostic);
            return None;
        }
        Some(
            services
                .into_iter()
                .map(|service| ResolvedService { hosts: narrowed.clone(), ..service })
                .collect(),
        )
    }

    /// Checks that `resource` of a mount for a service of the cloud table is that of the table.
    fn check_table_resource(
        &mut self,
        declared: &DeclaredAudience,
        services: Vec<ResolvedService>,
        configured: &AudienceConfig,
        header: &str,
    ) -> Option<Vec<ResolvedService>> {
        let Some(resource) = &configured.resource else { return Some(services) };
        if services.iter().any(|service| service.audience == resource.value) {
            return Some(services);
        }
        let message = format!(
            "`resource = \"{}\"` in {header} is not the resource of the audience `{}`, which is a \
             service of the cloud table",
            resource.value, declared.name
        );
        self.diagnostics
            .push(Diagnostic::new(resource.location.clone(), message).help("remove this line"));
        None
    }

    fn not_restated(
        &self,
        audience: &Audience,
        (protocol, hosts): (Protocol, &[HostPattern]),
        configured: &AudienceConfig,
        header: &str,
    ) -> Diagnostic {
        let written = configured.endpoint.as_ref().map(|endpoint| endpoint.value.to_string());
        let endpoint = written.unwrap_or_else(|| {
            let host = hosts.first().map_or_else(String::new, ToString::to_string);
            format!("{}://{}", protocol.scheme(), host.replace('*', "NAME"))
        });
        let hosts = join_hosts(hosts);
        let (location, message) = match &configured.resource {
            Some(resource) if resource.value != *audience => (
                resource.location.clone(),
                format!(
                    "{header} restates `resource = \"{}\"`, but its plugin requests {audience}",
                    resource.value
                ),
            ),
            _ => (
                configured.location.clone().or_else(|| self.mount.location.clone()),
                format!(
                    "the plugin of {header} describes its audience itself: tokens for {audience} \
                     at {hosts}. Whoever runs that host can use them, so the mount must restate \
                     both"
                ),
            ),
        };
        let lines = format!("endpoint = {endpoint:?}\nresource = \"{audience}\"");
        let write = if configured.location == self.mount.location && header == self.header {
            lines
        } else {
            format!("{header}\n{lines}")
        };
        Diagnostic::new(location, message)
            .expected("`endpoint` and `resource`, if you trust that host")
            .write(write)
    }

    /// A mistake: tokens for a service of the cloud, at hosts that are not the service's.
    fn foreign_hosts(
        &self,
        location: Option<Location>,
        declared: &DeclaredAudience,
        reach: &Reach,
    ) -> Diagnostic {
        let (
            DeclaredService::Own { audience, hosts, .. },
            Reach::Services { names, hosts: service_hosts },
        ) = (&declared.service, reach)
        else {
            return Diagnostic::new(
                location,
                format!("the audience `{}` of {} has no hosts", declared.name, self.header),
            );
        };
        let message = format!(
            "the plugin of {} requests tokens for {audience} at {}; this is the audience of the \
             service {names}, whose tokens are sent only to {}",
            self.header,
            join_hosts(hosts),
            join_hosts(service_hosts)
        );
        let expected = "a plugin whose manifest names the service (`cloud`); add a host of \
                        your own to `hosts` of [cloud.service.NAME]";
        Diagnostic::new(location, message).expected(expected)
    }

    fn unconfigured(
        &self,
        location: Option<Location>,
        audience: &Audience,
        hosts: &[HostPattern],
        description: &str,
    ) -> Diagnostic {
        let message = format!(
            "the plugin of {} requests tokens for {audience}, which is {description}: it is \
             granted only by a service in the configuration",
            self.header
        );
        let hosts: Vec<String> = hosts.iter().map(|host| format!("\"{host}\"")).collect();
        let base = Cloud::names().find(|name| Cloud::named(name) == Some(self.cloud));
        let instead = base.map_or("", |_| ", instead of `cloud`");
        let base = base.map(|name| format!("[cloud]\nbase = {name:?}\n")).unwrap_or_default();
        let write = format!(
            "{base}[cloud.service.{}]\naudience = \"{audience}\"\nhosts = [{}]",
            toml_key(self.name),
            hosts.join(", ")
        );
        let expected = format!(
            "a service with this audience, if you trust these hosts with its tokens{instead}"
        );
        Diagnostic::new(location, message).expected(expected).write(write)
    }
}
