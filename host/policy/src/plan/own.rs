//! Audiences of a manifest's own, in a mount: granted only when the mount restates endpoint and
//! resource.

use keyward_types::Audience;

use super::audience::{Reach, listed};
use super::mount::Planning;
use crate::cloud::Cloud;
use crate::config::AudienceConfig;
use crate::diagnostic::{Diagnostic, Place};
use crate::endpoint::Protocol;
use crate::host_pattern::HostPattern;
use crate::manifest::{DeclaredAudience, DeclaredService, ResolvedService};
use crate::text::bare;

impl Planning<'_> {
    /// Checks what the mount restates, and narrows an audience of the manifest's own to the hosts
    /// that its tokens may be sent to. Services of the cloud table pass as they are.
    pub(super) fn restated(
        &mut self,
        declared: &DeclaredAudience,
        services: Vec<ResolvedService>,
        configured: &AudienceConfig,
        header: &str,
    ) -> Option<Vec<ResolvedService>> {
        let DeclaredService::Own { audience, hosts, protocol } = &declared.service else {
            return self.of_the_table(declared, services, configured, header);
        };
        let place = || configured.place.clone().or_else(|| self.mount.place.clone());
        let narrowed = match Reach::of(audience, self.cloud) {
            reach @ (Reach::Services { .. } | Reach::Restated) => {
                let narrowed = reach.narrow(hosts);
                if narrowed.is_empty() {
                    Err(self.elsewhere(place(), declared, &reach))
                } else {
                    Ok(narrowed)
                }
            }
            Reach::OtherCloud { service } => {
                let message = format!(
                    "the plugin of {header} asks for tokens for {audience}, which is the service \
                     `{service}` of another \
                     cloud"
                );
                let expected = "a plugin for a service of the configured cloud, or the `cloud` that has this one";
                Err(Diagnostic::new(place(), message).expected(expected))
            }
            Reach::Undescribed { what } => Err(self.undescribed(place(), audience, hosts, what)),
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

    /// A `resource` beside a service of the cloud table must be the one that the table has.
    fn of_the_table(
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
            "`resource = \"{}\"` in {header}, and the audience `{}` is of a service of the cloud \
             table",
            resource.value, declared.name
        );
        self.diagnostics
            .push(Diagnostic::new(resource.place.clone(), message).help("remove this line"));
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
        let hosts = listed(hosts);
        let (place, message) = match &configured.resource {
            Some(resource) if resource.value != *audience => (
                resource.place.clone(),
                format!(
                    "{header} restates `resource = \"{}\"`, and its plugin asks for {audience}",
                    resource.value
                ),
            ),
            _ => (
                configured.place.clone().or_else(|| self.mount.place.clone()),
                format!(
                    "the plugin of {header} chose its audience itself: tokens for {audience} at \
                     {hosts}. Whoever runs \
                     that host can use them, so the mount must restate both"
                ),
            ),
        };
        let lines = format!("endpoint = {endpoint:?}\nresource = \"{audience}\"");
        let write = if configured.place == self.mount.place && header == self.header {
            lines
        } else {
            format!("{header}\n{lines}")
        };
        Diagnostic::new(place, message)
            .expected("`endpoint` and `resource`, if you trust that host")
            .write(write)
    }

    /// Tokens for a service of the cloud, at hosts that are not its own.
    fn elsewhere(
        &self,
        place: Option<Place>,
        declared: &DeclaredAudience,
        reach: &Reach,
    ) -> Diagnostic {
        let (DeclaredService::Own { audience, hosts, .. }, Reach::Services { names, hosts: right }) =
            (&declared.service, reach)
        else {
            return Diagnostic::new(
                place,
                format!("the audience `{}` of {} has no hosts", declared.name, self.header),
            );
        };
        let message = format!(
            "the plugin of {} asks for tokens for {audience} at {}; these are of the service \
             {names}, and are sent only \
             to {}",
            self.header,
            listed(hosts),
            listed(right)
        );
        let expected = "a plugin whose manifest names the service (`cloud`); a further host of yours for it goes into \
                        `hosts` of [cloud.service.NAME]";
        Diagnostic::new(place, message).expected(expected)
    }

    fn undescribed(
        &self,
        place: Option<Place>,
        audience: &Audience,
        hosts: &[HostPattern],
        what: &str,
    ) -> Diagnostic {
        let message = format!(
            "the plugin of {} asks for tokens for {audience}, which is {what}: only a service of \
             the configuration's own \
             grants it",
            self.header
        );
        let hosts: Vec<String> = hosts.iter().map(|host| format!("\"{host}\"")).collect();
        let base = Cloud::names().find(|name| Cloud::named(name) == Some(self.cloud));
        let in_place = base.map_or("", |_| ", in the place of `cloud`");
        let base = base.map(|name| format!("[cloud]\nbase = {name:?}\n")).unwrap_or_default();
        let write = format!(
            "{base}[cloud.service.{}]\naudience = \"{audience}\"\nhosts = [{}]",
            bare(self.name),
            hosts.join(", ")
        );
        let expected = format!(
            "a service with this audience, if you trust these hosts with its tokens{in_place}"
        );
        Diagnostic::new(place, message).expected(expected).write(write)
    }
}
