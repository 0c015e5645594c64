//! `callers` and `[mount.NAME.caller.X]`: the callers that a mount serves.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::mount_planner::MountPlanner;
use crate::callers::{CallerRules, CallerSection, Callers, MountCallers};
use crate::config::caller::{OTHERS, mount_caller_header};
use crate::config::{Account, AudienceConfig, CallerConfig, Config, MountCallerConfig};
use crate::diagnostic::{Diagnostic, Diagnostics, Location, Spanned};
use crate::endpoint::Protocol;
use crate::grant::Grant;
use crate::path::PathReading;
use crate::pattern::Pattern;
use crate::text::{nearest, one_of, toml_key};

/// The sections `[caller.NAME]`. The names of users and groups must have been resolved.
pub(super) fn sections(config: &Config, diagnostics: &mut Diagnostics) -> Callers {
    let sections = config.callers.iter().map(|(name, caller)| {
        let CallerConfig { user, group, unit, certificate, service_account, embedded, location } =
            caller;
        let mut id = |account: &Option<Spanned<Account>>| {
            let Spanned { value, location } = account.as_ref()?;
            match value {
                Account::Id(id) => Some(*id),
                Account::Name(account) => {
                    let message = format!(
                        "`{account}` of [caller.{}] was not looked up on this machine",
                        toml_key(name)
                    );
                    let diagnostic = Diagnostic::new(location.clone(), message);
                    diagnostics.push(diagnostic.help("write its number"));
                    // Matches no caller.
                    Some(u32::MAX)
                }
            }
        };
        CallerSection {
            name: name.as_str().into(),
            uid: id(user),
            gid: id(group),
            unit: unit.as_ref().map(|unit| unit.value.clone()),
            certificate: certificate.as_ref().map(|name| name.value.clone()),
            service_account: service_account.as_ref().map(|account| account.value.clone()),
            embedded: embedded.as_ref().map(|name| name.value.clone()),
            location: location.clone(),
        }
    });
    Callers::new(sections.collect())
}

/// Warnings about sections that one caller may match.
pub(super) fn overlaps(callers: &Callers) -> Vec<Diagnostic> {
    let overlaps = callers.overlaps().map(|(first, second)| {
        let message = format!(
            "one caller may match both {} and {}; it is then `{}`, whose section comes first",
            first.header(),
            second.header(),
            first.name
        );
        let help = "if another order is meant, move the narrower section up";
        Diagnostic::new(second.location.clone(), message).help(help)
    });
    overlaps.collect()
}

impl MountPlanner<'_> {
    /// The callers that the mount serves; `None` if it serves all of them.
    pub(super) fn callers(&mut self, config: &Config, grants: &[Grant]) -> Option<MountCallers> {
        let mount = self.mount;
        let from_list = mount.callers.iter().map(|name| (name.value.as_str(), &name.location));
        let from_sections =
            mount.caller.iter().map(|(name, caller)| (name.as_str(), &caller.location));
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for (name, location) in from_list.chain(from_sections) {
            if name == OTHERS || config.callers.iter().any(|(known, _)| known == name) {
                names.insert(name);
            } else {
                self.unknown_caller(name, location.clone(), config);
            }
        }
        if config.callers.is_empty() {
            if names.contains(OTHERS) {
                let message =
                    format!("{} names callers, but there is no section [caller.NAME]", self.header);
                let diagnostic = Diagnostic::new(mount.location.clone(), message);
                self.diagnostics.push(diagnostic.help(
                    "remove `callers` and the sections of callers: without [caller.NAME] the mount \
                     serves every caller",
                ));
            }
            return None;
        }
        if names.is_empty() && mount.callers.is_empty() && mount.caller.is_empty() {
            let known = config.callers.iter().map(|(name, _)| name.as_str());
            let message = format!(
                "{} serves no caller: once there is a section [caller.NAME], a mount serves only \
                 those that it names",
                self.header
            );
            let first = config.callers.first().map_or(OTHERS, |(name, _)| name);
            let diagnostic = Diagnostic::new(mount.location.clone(), message)
                .expected(format!("`callers` with {}", one_of(known.chain([OTHERS]))))
                .write(format!("callers = [{first:?}]"));
            self.diagnostics.push(diagnostic);
        }
        let first = grants.iter().find(|grant| grant.is_first);
        let several = names.len() > 1;
        let (mut named, mut others) = (Vec::new(), None);
        for name in names {
            let limits = mount.caller.get(name).cloned().unwrap_or_default();
            self.check_caller(name, &limits, first);
            let rules = CallerRules {
                name: Arc::from(name),
                concurrency: limits.concurrency.unwrap_or_else(|| self.share(several)),
                requests: limits.requests,
                allow: limits.allow,
                rate: limits.rate,
            };
            if name == OTHERS { others = Some(rules) } else { named.push(rules) }
        }
        Some(MountCallers::new(named, others))
    }

    /// How many calls of one caller may run at once: not all, if there are other callers.
    fn share(&self, several: bool) -> u32 {
        let all = self.mount.limits.concurrency;
        if several { all.saturating_sub(all.div_ceil(4)).max(1) } else { all }
    }

    fn unknown_caller(&mut self, name: &str, location: Option<Location>, config: &Config) {
        let known = || config.callers.iter().map(|(name, _)| name.as_str());
        let message = format!("{} names the caller `{name}`, which is not configured", self.header);
        let diagnostic = Diagnostic::new(location, message);
        self.diagnostics.push(match nearest(name, known()) {
            Some(suggestion) => {
                diagnostic.expected(one_of(known())).write(format!("callers = [{suggestion:?}]"))
            }
            None => diagnostic
                .expected("a section for it")
                .write(format!("[caller.{}]\nuser = \"www-data\"", toml_key(name))),
        });
    }

    /// Reports what a section `[mount.NAME.caller.X]` has and cannot mean.
    fn check_caller(&mut self, name: &str, limits: &MountCallerConfig, first: Option<&Grant>) {
        let header = mount_caller_header(self.name, name);
        let concurrency = self.mount.limits.concurrency;
        if let Some(own) = limits.concurrency.filter(|own| *own > concurrency) {
            let message = format!(
                "`concurrency` of {header} is {own}, but that of the mount is {concurrency}"
            );
            let diagnostic = Diagnostic::new(limits.location.clone(), message)
                .expected(format!("at most {concurrency}"))
                .write(format!("concurrency = {concurrency}"));
            self.diagnostics.push(diagnostic);
        }
        let reading = first
            .filter(|first| first.endpoint.protocol == Protocol::Https)
            .map_or(PathReading::Segments, |first| first.paths);
        for pattern in limits.requests.iter().flatten() {
            let Some(operation) = pattern.operation() else {
                self.check_request_pattern(pattern, reading, limits, &header);
                continue;
            };
            let message = format!(
                "`{pattern}` in `requests` of {header}: `{operation}` is an operation of a service, \
                 and not a method of the caller's request"
            );
            let diagnostic = Diagnostic::new(limits.requests_location.clone(), message)
                .expected("a method and a path")
                .write(format!("requests = [{:?}]", format!("GET {}", pattern.path())));
            self.diagnostics.push(diagnostic);
        }
        let (Some(first), Some(allow)) = (first, &limits.allow) else { return };
        let configured = AudienceConfig {
            allow: Some(allow.clone()),
            allow_location: limits.allow_location.clone(),
            location: limits.location.clone(),
            ..AudienceConfig::default()
        };
        self.check_known_operations(&configured, &first.operations, &header);
        self.check_unmatchable_patterns(&configured, first.paths, &header);
        self.check_database_patterns(&configured, first.endpoint.protocol, &header);
        let is_known = |operation: &str| {
            let all = first.operations.iter().flat_map(|operations| operations.iter());
            all.into_iter().any(|known| known.name == operation)
        };
        for pattern in allow {
            if !pattern.operation().is_none_or(is_known) || first.may_cover(pattern) {
                continue;
            }
            let message = format!(
                "`{pattern}` in `allow` of {header} covers nothing that the mount may send"
            );
            let covers = match (&first.allowed, &first.declared) {
                (Some(lines), _) | (None, Some(lines)) => {
                    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
                    format!("a part of {}", one_of(lines.iter().map(String::as_str)))
                }
                (None, None) => "a request of the mount".to_owned(),
            };
            let diagnostic = Diagnostic::new(limits.allow_location.clone(), message);
            self.diagnostics.push(diagnostic.expected(covers));
        }
    }

    /// Reports a line of `requests` that matches no request.
    fn check_request_pattern(
        &mut self,
        pattern: &Pattern,
        reading: PathReading,
        limits: &MountCallerConfig,
        header: &str,
    ) {
        let reason = if let Some(error) = pattern.unmatchable_by(reading) {
            format!("its path can be read in more than one way: {error}")
        } else if pattern.is_of_databases() {
            "a caller's request never has that method; it is for `allow` at databases".to_owned()
        } else {
            return;
        };
        let message = format!("`{pattern}` in `requests` of {header} matches no request: {reason}");
        let diagnostic = Diagnostic::new(limits.requests_location.clone(), message);
        self.diagnostics
            .push(diagnostic.help("remove it, or write the method and path that callers send"));
    }
}
