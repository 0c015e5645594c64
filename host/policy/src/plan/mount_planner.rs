//! Planning of one mount.

use http::Method;

use super::memory::initial_memory;
use super::{PlannedMount, Plugin, Plugins, hand_out};
use crate::cloud::{Cloud, NamedOperations, Semantics};
use crate::config::{AudienceConfig, Config, Limits, MountConfig};
use crate::diagnostic::{Diagnostic, Diagnostics, Spanned};
use crate::endpoint::{Endpoint, Protocol};
use crate::grant::{Grant, Minting, Redirect};
use crate::host_pattern::HostPattern;
use crate::manifest::{DeclaredAudience, DeclaredService, Manifest, ResolvedService};
use crate::path::{PathError, PathReading};
use crate::pattern::Pattern;
use crate::text::{human_size, nearest, one_of, toml_key};

/// The name of the identity of a mount that names none.
const DEFAULT_IDENTITY: &str = "default";

pub(super) fn plan(
    name: &str,
    mount: &MountConfig,
    config: &Config,
    plugins: &Plugins,
    diagnostics: &mut Diagnostics,
) -> Option<PlannedMount> {
    let header = format!("[mount.{}]", toml_key(name));
    let loaded =
        plugins.load(&mount.plugin, &header).map_err(|diagnostic| diagnostics.push(diagnostic));
    let identity =
        identity(mount, config, &header).map_err(|diagnostic| diagnostics.push(diagnostic));
    let (plugin, manifest) = loaded.ok()?;
    if let Some(diagnostic) = too_little_memory(mount, &plugin, &header) {
        diagnostics.push(diagnostic);
    }

    let mut planner = MountPlanner { name, header, mount, cloud: &config.cloud, diagnostics };
    planner.check_undeclared_audiences(&manifest);
    let mut grants: Vec<Grant> = manifest
        .audiences
        .iter()
        .enumerate()
        .filter_map(|(index, declared)| planner.grant(&manifest, declared, index == 0))
        .collect();
    planner.seals(&manifest, &mut grants);
    let hand_out =
        hand_out::apply(mount, &planner.header, &manifest, &mut grants, planner.diagnostics);
    let callers = planner.callers(config, &grants);
    let mut variables = planner.settings(&manifest, &grants);
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
        callers,
    })
}

/// Returns a diagnostic if `memory` is less than the initial memory of the plugin.
fn too_little_memory(mount: &MountConfig, plugin: &Plugin, header: &str) -> Option<Diagnostic> {
    let (limit, initial) = (mount.limits.memory, initial_memory(&plugin.component));
    if limit >= initial {
        return None;
    }
    let message = format!(
        "`memory` of {header} is {}, but the initial memory of the plugin `{}` is {}",
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
    Some(Diagnostic::new(mount.location.clone(), message).expected(expected).write(write))
}

fn identity(mount: &MountConfig, config: &Config, header: &str) -> Result<String, Diagnostic> {
    let known = || config.identities.keys().map(String::as_str);
    let (wanted, location) = match &mount.identity {
        Some(identity) => (identity.value.as_str(), identity.location.clone()),
        None => (DEFAULT_IDENTITY, mount.location.clone()),
    };
    if config.identities.contains_key(wanted) {
        return Ok(wanted.to_owned());
    }
    let suggestion = nearest(wanted, known()).or_else(|| known().next());
    let write = suggestion.map_or_else(
        || format!("[identity.{}]\nsource = \"imds\"", toml_key(wanted)),
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
    Err(Diagnostic::new(location, message).expected(expected).write(write))
}

/// Plans one mount, and collects its mistakes.
pub(super) struct MountPlanner<'a> {
    pub(super) name: &'a str,
    pub(super) header: String,
    pub(super) mount: &'a MountConfig,
    pub(super) cloud: &'a Cloud,
    pub(super) diagnostics: &'a mut Diagnostics,
}

impl MountPlanner<'_> {
    /// Reports configured audiences that the manifest does not declare, or that are its first.
    fn check_undeclared_audiences(&mut self, manifest: &Manifest) {
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
            let expected = if further().next().is_none() { None } else { Some(one_of(further())) };
            let diagnostic = Diagnostic::new(audience.location.clone(), message);
            let mut diagnostic = match expected {
                Some(expected) => diagnostic.expected(expected),
                None => diagnostic.help("remove this section"),
            };
            if let Some(suggestion) = nearest(name, further()) {
                diagnostic = diagnostic
                    .write(format!("[mount.{}.audience.{suggestion}]", toml_key(self.name)));
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
            // The cloud may lack an optional audience that is not granted.
            Err(_)
                if !is_first
                    && declared.optional
                    && !self.mount.audiences.contains_key(&declared.name) =>
            {
                return None;
            }
            Err(mut diagnostic) => {
                diagnostic.location = self.mount.plugin.location.clone();
                if let (DeclaredService::Cloud(names), false) =
                    (&declared.service, self.cloud.is_named())
                {
                    let name = names.first().map_or("NAME", String::as_str);
                    let write = format!(
                        "[cloud.service.{}]\naudience = \"...\"\nhosts = [\"...\"]",
                        toml_key(name)
                    );
                    diagnostic = diagnostic.write(write);
                }
                self.diagnostics.push(diagnostic);
                return None;
            }
        };
        let section = format!("[mount.{}.audience.{}]", toml_key(self.name), declared.name);
        let (configured, header) = if is_first {
            (&self.mount.first, self.header.clone())
        } else {
            let needed_by = self.matching_conditions(&declared.required_if, manifest);
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
                    let diagnostic = Diagnostic::new(self.mount.location.clone(), message);
                    let diagnostic =
                        diagnostic.expected(format!("a section for {}", audiences(&services)));
                    self.diagnostics.push(diagnostic.write(section));
                    return None;
                }
            }
        };
        let services = self.check_restated(declared, services, configured, &header)?;
        let (endpoint, service) = self.endpoint(declared, services, configured, &header)?;
        let redirects = self.redirects(&service, configured, &header);
        // The semantics of requests depend on their host, not on the service's name in the manifest.
        let semantics_of =
            |endpoint: &Endpoint| self.cloud.semantics(&endpoint.host, service.audience.as_str());
        let own = semantics_of(&endpoint);
        let paths_ignore_case = own.paths_ignore_case;
        // The host of a redirect adds no operations, as it adds nothing to `allow`.
        let operations: Vec<&'static NamedOperations> = own.named_operations().collect();
        let semantics = redirects
            .iter()
            .map(|redirect| semantics_of(&redirect.endpoint))
            .fold(own, Semantics::merge);
        self.check_operations(manifest, declared, configured, &operations, &header);
        self.check_unmatchable_patterns(configured, semantics.paths, &header);
        self.check_database_patterns(configured, endpoint.protocol, &header);
        Some(Grant {
            name: declared.name.as_str().into(),
            is_first,
            audience: service.audience,
            restated: matches!(declared.service, DeclaredService::Own { .. }),
            endpoint,
            redirects,
            minting: Minting::of(&semantics),
            redirect_nodes: semantics.redirect_nodes,
            seals: Vec::new(),
            unsealed: false,
            declared: declared.allow.clone(),
            allowed: configured.allow.clone(),
            for_caller: None,
            operations,
            paths: semantics.paths,
            // The host of a redirect must not widen `allow`.
            paths_ignore_case,
            returns_stored_content: semantics.returns_stored_content,
            referenced_paths: semantics.referenced_paths,
        })
    }

    /// Reports patterns with operations that the endpoint's service does not have.
    fn check_operations(
        &mut self,
        manifest: &Manifest,
        declared: &DeclaredAudience,
        configured: &AudienceConfig,
        operations: &[&'static NamedOperations],
        header: &str,
    ) {
        let names = names(operations);
        let unknown = |pattern: &&Pattern| {
            pattern.operation().is_some_and(|operation| !names.contains(&operation))
        };
        let of_manifest = declared.allow.iter().flatten().filter(unknown);
        for pattern in of_manifest {
            let message = format!(
                "`{pattern}` in `allow` of the manifest of `{}` names an operation that the \
                 service of {header} does not have",
                manifest.name
            );
            let diagnostic = Diagnostic::new(self.mount.plugin.location.clone(), message);
            self.diagnostics.push(diagnostic.help("use another plugin, or another endpoint"));
        }
        self.check_known_operations(configured, operations, header);
    }

    /// The same for the patterns of the configuration alone.
    pub(super) fn check_known_operations(
        &mut self,
        configured: &AudienceConfig,
        operations: &[&'static NamedOperations],
        header: &str,
    ) {
        let names = names(operations);
        let unknown = |pattern: &&Pattern| {
            pattern.operation().is_some_and(|operation| !names.contains(&operation))
        };
        for pattern in configured.allow.iter().flatten().filter(unknown) {
            let operation = pattern.operation().unwrap_or_default();
            let message = format!(
                "`{pattern}` in `allow` of {header}: the service has no operation `{operation}`"
            );
            let diagnostic = Diagnostic::new(configured.allow_location.clone(), message);
            let expected = match names.as_slice() {
                [] => "a method: Keyward knows no operations of this service".to_owned(),
                names => format!("a method, or {}", one_of(names.iter().copied())),
            };
            let verb = nearest(operation, names.iter().copied()).unwrap_or("GET");
            let write = format!("allow = [{:?}]", format!("{verb} {}", pattern.path()));
            self.diagnostics.push(diagnostic.expected(expected).write(write));
        }
    }

    /// Reports patterns that no login to a database matches.
    pub(super) fn check_database_patterns(
        &mut self,
        configured: &AudienceConfig,
        protocol: Protocol,
        header: &str,
    ) {
        let is_request = |pattern: &&Pattern| {
            protocol == Protocol::SqlServer
                && !pattern.has_method(&Method::CONNECT)
                && pattern.operation().is_none()
        };
        for pattern in configured.allow.iter().flatten().filter(is_request) {
            let message = format!(
                "`{pattern}` in `allow` of {header} permits nothing: for a database server, \
                 `allow` has the databases that may be opened"
            );
            let diagnostic = Diagnostic::new(configured.allow_location.clone(), message);
            let diagnostic = diagnostic.expected("CONNECT and a slash before the database's name");
            self.diagnostics.push(diagnostic.write("allow = [\"CONNECT /*\"]"));
        }
    }

    /// Reports patterns that no path at the endpoint matches, since its service has no such names.
    pub(super) fn check_unmatchable_patterns(
        &mut self,
        configured: &AudienceConfig,
        paths: PathReading,
        header: &str,
    ) {
        for pattern in configured.allow.iter().flatten() {
            let Some(error) = pattern.unmatchable_by(paths) else { continue };
            let message = format!(
                "`{pattern}` in `allow` of {header} can be read in more than one way there: {error}"
            );
            let mut diagnostic = Diagnostic::new(configured.location.clone(), message)
                .expected("a pattern without it");
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
        let Some(Spanned { value: endpoint, location }) = &configured.endpoint else {
            if let Some(only) = patterns().next().and_then(HostPattern::only_host) {
                let endpoint = Endpoint::parse(&format!("{scheme}://{only}")).ok()?;
                return Some((endpoint, services.into_iter().next()?));
            }
            let message =
                format!("{header} has no `endpoint` for the audience `{}`", declared.name);
            let location = configured.location.clone().or_else(|| self.mount.location.clone());
            self.diagnostics
                .push(Diagnostic::new(location, message).expected(expected).write(write));
            return None;
        };
        let covers = |service: &ResolvedService| {
            service.protocol == endpoint.protocol
                && service.hosts.iter().any(|pattern| pattern.matches(&endpoint.host))
        };
        if let Some(service) = services.iter().find(|service| covers(service)) {
            let fixed_port =
                service.ports.iter().find(|(pattern, _)| pattern.matches(&endpoint.host));
            if let Some((pattern, port)) = fixed_port.filter(|(_, port)| *port != endpoint.port) {
                let message = format!(
                    "{endpoint} in {header} has the port {}; {pattern} listens at {port}",
                    endpoint.port
                );
                let write = format!("endpoint = \"{scheme}://{}:{port}\"", endpoint.host);
                self.diagnostics.push(
                    Diagnostic::new(location.clone(), message)
                        .expected(format!("port {port}"))
                        .write(write),
                );
                return None;
            }
            return Some((endpoint.clone(), service.clone()));
        }
        let message = format!(
            "{endpoint} in {header} is not a host of the audience {}",
            audiences(&services)
        );
        let mut diagnostic = Diagnostic::new(location.clone(), message).expected(expected);
        diagnostic = match other_cloud(declared, &endpoint.host, self.cloud) {
            Some(cloud) => diagnostic.write(format!("cloud = {cloud:?}")),
            None => diagnostic.write(write),
        };
        self.diagnostics.push(diagnostic);
        None
    }

    /// The origins that the service may redirect to. Only hosts of the service receive its tokens.
    fn redirects(
        &mut self,
        service: &ResolvedService,
        configured: &AudienceConfig,
        header: &str,
    ) -> Vec<Redirect> {
        let mut redirects = Vec::new();
        for Spanned { value: endpoint, location } in &configured.redirects {
            if service.protocol != Protocol::Https {
                let message =
                    format!("`redirects` in {header}, whose endpoint is a database server");
                self.diagnostics
                    .push(Diagnostic::new(location.clone(), message).help("remove this line"));
            } else if endpoint.protocol != Protocol::Https {
                let message = format!("{endpoint} in `redirects` of {header} is not an https URL");
                self.diagnostics
                    .push(Diagnostic::new(location.clone(), message).expected("\"https://host\""));
            } else {
                let takes_token =
                    service.hosts.iter().any(|pattern| pattern.matches(&endpoint.host));
                redirects.push(Redirect { endpoint: endpoint.clone(), takes_token });
            }
        }
        redirects
    }
}

/// The names of operations, each once.
fn names(operations: &[&'static NamedOperations]) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for operation in operations.iter().flat_map(|operations| operations.iter()) {
        if !names.contains(&operation.name.as_str()) {
            names.push(&operation.name);
        }
    }
    names
}

fn audiences(services: &[ResolvedService]) -> String {
    one_of(services.iter().map(|service| service.audience.as_str()))
}

/// Another cloud in which the host is valid for this audience.
fn other_cloud(declared: &DeclaredAudience, host: &str, cloud: &Cloud) -> Option<&'static str> {
    // Do not suggest to replace a custom cloud.
    Cloud::names().filter(|_| cloud.is_named()).find(|name| {
        let other = Cloud::named(name).filter(|other| *other != cloud);
        let services = other.and_then(|other| declared.resolve(other).ok()).unwrap_or_default();
        services.iter().flat_map(|service| &service.hosts).any(|pattern| pattern.matches(host))
    })
}
