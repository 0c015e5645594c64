//! One mount of a plan.

use http::Method;

use super::memory::initial_memory;
use super::{PlannedMount, Plugin, Plugins, hand_out};
use crate::cloud::{Cloud, Meaning};
use crate::config::{AudienceConfig, Config, Limits, MountConfig};
use crate::diagnostic::{Diagnostic, Diagnostics, Located};
use crate::endpoint::Endpoint;
use crate::endpoint::Protocol;
use crate::grant::{Grant, Minting, Redirect};
use crate::host_pattern::HostPattern;
use crate::manifest::{DeclaredAudience, DeclaredService, Manifest, ResolvedService};
use crate::path::PathError;
use crate::pattern::Pattern;
use crate::text::{bare, human_size, nearest, one_of};

/// The name of the identity of a mount that names none.
const DEFAULT_IDENTITY: &str = "default";

pub(super) fn plan(
    name: &str,
    mount: &MountConfig,
    config: &Config,
    plugins: &Plugins,
    diagnostics: &mut Diagnostics,
) -> Option<PlannedMount> {
    let header = format!("[mount.{}]", bare(name));
    let loaded =
        plugins.load(&mount.plugin, &header).map_err(|diagnostic| diagnostics.push(diagnostic));
    let identity =
        identity(mount, config, &header).map_err(|diagnostic| diagnostics.push(diagnostic));
    let (plugin, manifest) = loaded.ok()?;
    if let Some(diagnostic) = too_little_memory(mount, &plugin, &header) {
        diagnostics.push(diagnostic);
    }

    let mut planning = Planning { name, header, mount, cloud: &config.cloud, diagnostics };
    planning.undeclared_audiences(&manifest);
    let mut grants: Vec<Grant> = manifest
        .audiences
        .iter()
        .enumerate()
        .filter_map(|(number, declared)| planning.grant(&manifest, declared, number == 0))
        .collect();
    planning.seals(&manifest, &mut grants);
    let hand_out =
        hand_out::grant(mount, &planning.header, &manifest, &mut grants, planning.diagnostics);
    let mut variables = planning.settings(&manifest, &grants);
    for grant in &grants {
        variables.insert(format!("endpoint.{}", grant.name), grant.endpoint.to_string());
    }
    Some(PlannedMount {
        name: name.to_owned(),
        plugin,
        manifest,
        identity: identity.ok()?,
        grants,
        variables,
        limits: mount.limits,
        pool: mount.pool,
        hand_out,
    })
}

/// Reports a limit below the memory that the plugin's sandbox has from the start.
fn too_little_memory(mount: &MountConfig, plugin: &Plugin, header: &str) -> Option<Diagnostic> {
    let (limit, initial) = (mount.limits.memory, initial_memory(&plugin.component));
    if limit >= initial {
        return None;
    }
    let message = format!(
        "`memory` of {header} is {}, but the plugin `{}` begins with {}",
        human_size(limit),
        plugin.label,
        human_size(initial)
    );
    let header = header.trim_end_matches(']');
    let write = format!(
        "{header}.limits]\nmemory = {:?}",
        human_size(Limits::default().memory.max(initial))
    );
    let expected = format!("at least {}", human_size(initial));
    Some(Diagnostic::new(mount.place.clone(), message).expected(expected).write(write))
}

fn identity(mount: &MountConfig, config: &Config, header: &str) -> Result<String, Diagnostic> {
    let known = || config.identities.keys().map(String::as_str);
    let (wanted, place) = match &mount.identity {
        Some(identity) => (identity.value.as_str(), identity.place.clone()),
        None => (DEFAULT_IDENTITY, mount.place.clone()),
    };
    if config.identities.contains_key(wanted) {
        return Ok(wanted.to_owned());
    }
    let suggestion = nearest(wanted, known()).or_else(|| known().next());
    let write = suggestion.map_or_else(
        || format!("[identity.{}]\nsource = \"imds\"", bare(wanted)),
        |name| format!("identity = {name:?}"),
    );
    let expected = if config.identities.is_empty() {
        "a section [identity.NAME]".to_owned()
    } else {
        one_of(known())
    };
    let message = match &mount.identity {
        Some(_) => format!("{header} names the identity `{wanted}`, which is not configured"),
        None => {
            format!("{header} names no identity, and there is none called `{DEFAULT_IDENTITY}`")
        }
    };
    Err(Diagnostic::new(place, message).expected(expected).write(write))
}

pub(super) struct Planning<'a> {
    pub(super) name: &'a str,
    pub(super) header: String,
    pub(super) mount: &'a MountConfig,
    pub(super) cloud: &'a Cloud,
    pub(super) diagnostics: &'a mut Diagnostics,
}

impl Planning<'_> {
    fn undeclared_audiences(&mut self, manifest: &Manifest) {
        for (name, audience) in &self.mount.audiences {
            let further =
                || manifest.audiences.iter().skip(1).map(|declared| declared.name.as_str());
            if further().any(|declared| declared == name) {
                continue;
            }
            let is_first = manifest.audiences.first().is_some_and(|first| first.name == *name);
            let message = if is_first {
                format!(
                    "the audience `{name}` is the first of the plugin `{}`: it is granted in {}",
                    manifest.name, self.header
                )
            } else {
                format!("the plugin `{}` declares no audience `{name}`", manifest.name)
            };
            let expected = if further().next().is_none() {
                "no such section".to_owned()
            } else {
                one_of(further())
            };
            let mut diagnostic =
                Diagnostic::new(audience.place.clone(), message).expected(expected);
            if let Some(suggestion) = nearest(name, further()) {
                diagnostic =
                    diagnostic.write(format!("[mount.{}.audience.{suggestion}]", bare(self.name)));
            }
            self.diagnostics.push(diagnostic);
        }
    }

    fn grant(
        &mut self,
        manifest: &Manifest,
        declared: &DeclaredAudience,
        is_first: bool,
    ) -> Option<Grant> {
        let services = match declared.resolve(self.cloud) {
            Ok(services) => services,
            // What a plugin can do without, and nobody granted, the cloud need not have.
            Err(_)
                if !is_first
                    && declared.optional
                    && !self.mount.audiences.contains_key(&declared.name) =>
            {
                return None;
            }
            Err(mut diagnostic) => {
                diagnostic.place = self.mount.plugin.place.clone();
                if let (DeclaredService::Cloud(names), false) =
                    (&declared.service, self.cloud.is_named())
                {
                    let name = names.first().map_or("NAME", String::as_str);
                    let write = format!(
                        "[cloud.service.{}]\naudience = \"...\"\nhosts = [\"...\"]",
                        bare(name)
                    );
                    diagnostic = diagnostic.write(write);
                }
                self.diagnostics.push(diagnostic);
                return None;
            }
        };
        let section = format!("[mount.{}.audience.{}]", bare(self.name), declared.name);
        let (configured, header) = if is_first {
            (&self.mount.first, self.header.clone())
        } else {
            let needed_by = self.holds(&declared.required_if, manifest);
            match self.mount.audiences.get(&declared.name) {
                Some(configured) => (configured, section),
                None if declared.optional && needed_by.is_none() => return None,
                None => {
                    let needed_by =
                        needed_by.map_or("its plugin".to_owned(), |line| format!("`{line}`"));
                    let message = format!(
                        "{} does not grant the audience `{}`, which {needed_by} needs",
                        self.header, declared.name
                    );
                    let diagnostic = Diagnostic::new(self.mount.place.clone(), message);
                    let diagnostic =
                        diagnostic.expected(format!("a section for {}", audiences(&services)));
                    self.diagnostics.push(diagnostic.write(section));
                    return None;
                }
            }
        };
        let services = self.restated(declared, services, configured, &header)?;
        let (endpoint, service) = self.endpoint(declared, services, configured, &header)?;
        let redirects = self.redirects(&service, configured, &header);
        // What requests mean belongs to the hosts that they go to, whatever the manifest calls the
        // service.
        let meaning_of =
            |endpoint: &Endpoint| self.cloud.meaning(&endpoint.host, service.audience.as_str());
        let own = meaning_of(&endpoint);
        let paths_ignore_case = own.paths_ignore_case;
        let meaning =
            redirects.iter().map(|redirect| meaning_of(&redirect.endpoint)).fold(own, Meaning::and);
        self.unmatchable_patterns(configured, &meaning, &header);
        self.patterns_of_requests(configured, endpoint.protocol, &header);
        Some(Grant {
            name: declared.name.as_str().into(),
            is_first,
            audience: service.audience,
            restated: matches!(declared.service, DeclaredService::Own { .. }),
            endpoint,
            redirects,
            minting: Minting::of(&meaning),
            routes: meaning.routes,
            seals: Vec::new(),
            unsealed: false,
            declared: declared.allow.clone(),
            allowed: configured.allow.clone(),
            paths: meaning.paths,
            // A redirect's host never makes `allow` wider.
            paths_ignore_case,
            returns_stored_content: meaning.returns_stored_content,
            second_paths: meaning.second_paths,
        })
    }

    /// Patterns that no request to a database matches.
    fn patterns_of_requests(
        &mut self,
        configured: &AudienceConfig,
        protocol: Protocol,
        header: &str,
    ) {
        let is_request = |pattern: &&Pattern| {
            protocol == Protocol::SqlServer && !pattern.has_method(&Method::CONNECT)
        };
        for pattern in configured.allow.iter().flatten().filter(is_request) {
            let message = format!(
                "`{pattern}` in `allow` of {header} permits nothing: at a database, `allow` names \
                 what is opened"
            );
            let diagnostic = Diagnostic::new(configured.allow_place.clone(), message);
            let diagnostic = diagnostic.expected("CONNECT and a slash before the database's name");
            self.diagnostics.push(diagnostic.write("allow = [\"CONNECT /*\"]"));
        }
    }

    /// Patterns that no path at the endpoint matches, since its service has no such names.
    fn unmatchable_patterns(
        &mut self,
        configured: &AudienceConfig,
        meaning: &Meaning,
        header: &str,
    ) {
        for pattern in configured.allow.iter().flatten() {
            let Some(error) = pattern.unmatchable_by(meaning.paths) else { continue };
            let message = format!(
                "`{pattern}` in `allow` of {header} can be read in more than one way there: {error}"
            );
            let mut diagnostic =
                Diagnostic::new(configured.place.clone(), message).expected("a pattern without it");
            if error == PathError::EncodedSlash {
                let written = pattern.to_string().replace("%2f", "/").replace("%2F", "/");
                diagnostic = diagnostic.write(format!("allow = [{written:?}]"));
            }
            self.diagnostics.push(diagnostic);
        }
    }

    fn endpoint(
        &mut self,
        declared: &DeclaredAudience,
        services: Vec<ResolvedService>,
        configured: &AudienceConfig,
        header: &str,
    ) -> Option<(Endpoint, ResolvedService)> {
        let patterns = || services.iter().flat_map(|service| &service.hosts);
        let hosts: Vec<String> = patterns().map(ToString::to_string).collect();
        let scheme = services.first().map_or(Protocol::Https, |service| service.protocol).scheme();
        let expected =
            format!("{scheme}:// and a host like {}", one_of(hosts.iter().map(String::as_str)));
        let example = || {
            hosts
                .first()
                .map_or_else(String::new, |host| host.replace('*', "NAME").replace('#', "0"))
        };
        let write = format!("endpoint = \"{scheme}://{}\"", example());
        let Some(Located { value: endpoint, place }) = &configured.endpoint else {
            if let Some(only) = patterns().next().and_then(HostPattern::only_host) {
                let endpoint = Endpoint::parse(&format!("{scheme}://{only}")).ok()?;
                return Some((endpoint, services.into_iter().next()?));
            }
            let message =
                format!("{header} has no `endpoint` for the audience `{}`", declared.name);
            let place = configured.place.clone().or_else(|| self.mount.place.clone());
            self.diagnostics.push(Diagnostic::new(place, message).expected(expected).write(write));
            return None;
        };
        let covers = |service: &ResolvedService| {
            service.protocol == endpoint.protocol
                && service.hosts.iter().any(|pattern| pattern.matches(&endpoint.host))
        };
        if let Some(service) = services.iter().find(|service| covers(service)) {
            let own = service.ports.iter().find(|(pattern, _)| pattern.matches(&endpoint.host));
            if let Some((pattern, port)) = own.filter(|(_, port)| *port != endpoint.port) {
                let message = format!(
                    "{endpoint} in {header} has the port {}; {pattern} listens at {port}",
                    endpoint.port
                );
                let write = format!("endpoint = \"{scheme}://{}:{port}\"", endpoint.host);
                self.diagnostics.push(
                    Diagnostic::new(place.clone(), message)
                        .expected(format!("port {port}"))
                        .write(write),
                );
                return None;
            }
            return Some((endpoint.clone(), service.clone()));
        }
        let message =
            format!("{endpoint} in {header} is not a host for tokens of {}", audiences(&services));
        let mut diagnostic = Diagnostic::new(place.clone(), message).expected(expected);
        diagnostic = match other_cloud(declared, &endpoint.host, self.cloud) {
            Some(cloud) => diagnostic.write(format!("cloud = {cloud:?}")),
            None => diagnostic.write(write),
        };
        self.diagnostics.push(diagnostic);
        None
    }

    /// Where the service may redirect to. Only hosts for its tokens get them.
    fn redirects(
        &mut self,
        service: &ResolvedService,
        configured: &AudienceConfig,
        header: &str,
    ) -> Vec<Redirect> {
        let mut redirects = Vec::new();
        for Located { value: endpoint, place } in &configured.redirects {
            if service.protocol != Protocol::Https {
                let message =
                    format!("`redirects` in {header}, whose endpoint does not speak HTTP");
                self.diagnostics
                    .push(Diagnostic::new(place.clone(), message).help("remove this line"));
            } else if endpoint.protocol != Protocol::Https {
                let message = format!("{endpoint} in `redirects` of {header} is not an https URL");
                self.diagnostics
                    .push(Diagnostic::new(place.clone(), message).expected("\"https://host\""));
            } else {
                let takes_token =
                    service.hosts.iter().any(|pattern| pattern.matches(&endpoint.host));
                redirects.push(Redirect { endpoint: endpoint.clone(), takes_token });
            }
        }
        redirects
    }
}

fn audiences(services: &[ResolvedService]) -> String {
    one_of(services.iter().map(|service| service.audience.as_str()))
}

/// The cloud that this host would be right in.
fn other_cloud(declared: &DeclaredAudience, host: &str, cloud: &Cloud) -> Option<&'static str> {
    // One's own is not to be given up for a host.
    Cloud::names().filter(|_| cloud.is_named()).find(|name| {
        let other = Cloud::named(name).filter(|other| *other != cloud);
        let services = other.and_then(|other| declared.resolve(other).ok()).unwrap_or_default();
        services.iter().flat_map(|service| &service.hosts).any(|pattern| pattern.matches(host))
    })
}
