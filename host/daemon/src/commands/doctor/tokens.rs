//! Requests a token from each identity, and checks for whom and how long it is valid.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use keyward::Plan;
use keyward::identity::Audience;
use keyward::identity::source::SourceKind;
use keyward::probe::{Answered, Identities, NoToken};
use keyward_policy::config::{IdentityConfig, IdentitySource};

use super::clock::{Reading, now};
use super::finding::{Check, Finding, Status};
use super::{Machine, TOKEN_TIMEOUT, join_all};

/// The shortest normal lifetime. The cache renews a token with less immediately.
const MIN_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// The findings about identities, and the clocks of their endpoints.
pub(super) struct TokenReport {
    pub(super) findings: Vec<Finding>,
    pub(super) clocks: Vec<Reading>,
}

pub(super) async fn check(machine: &Machine, configured: bool) -> TokenReport {
    let Machine { plan, auto, .. } = machine;
    let identities = Identities::of(plan, TOKEN_TIMEOUT);
    let requests = join_all(audiences(plan).into_iter().map(|(name, audience)| {
        let identities = identities.clone();
        async move {
            let result = identities.ask(&name, &audience, TOKEN_TIMEOUT).await;
            (now(), name, audience, result)
        }
    }));
    let (mut findings, mut clocks) = (Vec::new(), Vec::new());
    for (now, name, audience, result) in requests.await {
        let finding = Finding::about(Check::Token, format!("{name} for {audience}"));
        let source = identities.describe(&name).unwrap_or_default();
        if let Ok(Answered { endpoint_clock: Some(remote), .. }) = &result {
            let endpoint = format!("the endpoint of identity {name}");
            clocks.push(Reading { endpoint, local: now, remote: *remote });
        }
        let finding = token_finding(finding, &source, result);
        // Without a configuration, only the source that `auto` selects matters.
        let is_unused = !configured && auto.is_none_or(|auto| auto.as_str() != name);
        let is_harmless = is_unused && finding.status == Status::Problem;
        let status = if is_harmless { Status::Warning } else { finding.status };
        findings.push(Finding { status, ..finding });
    }
    for name in plan.identities().keys() {
        let finding = || Finding::about(Check::TokensOnDisk, name.as_str());
        findings.extend(identities.key(name).map(|key| match key {
            Ok(()) => finding().ok("the key of its tokens on disk is valid"),
            Err(error) => finding().problem(error.to_string()).help(error.help()),
        }));
    }
    if plan.identities().is_empty() {
        let found = "no identity is configured";
        findings.push(Finding::about(Check::Token, "none").skipped(found));
    }
    TokenReport { findings, clocks }
}

/// Each identity with the audiences that mounts use it for, or else with Resource Manager's.
fn audiences(plan: &Plan) -> BTreeSet<(String, Audience)> {
    let mut used: BTreeMap<&str, Vec<Audience>> = BTreeMap::new();
    for mount in &plan.mounts {
        let grants = mount.grants.iter().map(|grant| grant.audience.clone());
        used.entry(mount.identity.as_str()).or_default().extend(grants);
    }
    let services = &plan.cloud().services;
    let default = services.get("arm").or_else(|| services.values().next());
    let default = default.and_then(|service| Audience::new(&service.audience).ok());
    let pairs = plan.identities().keys().flat_map(|name| {
        let audiences = used.get(name.as_str()).cloned();
        let audiences = audiences.unwrap_or_else(|| default.iter().cloned().collect());
        audiences.into_iter().map(|audience| (name.clone(), audience))
    });
    pairs.collect()
}

fn token_finding(finding: Finding, source: &str, result: Result<Answered, NoToken>) -> Finding {
    match result {
        Ok(token) => {
            let identity = token.client_id.map_or_else(
                || "returned a token without a client id".to_owned(),
                |id| format!("returned a token for client id {id}"),
            );
            let found = format!("{source}, {identity}, valid for {}", human(token.valid_for));
            if token.valid_for < MIN_LIFETIME {
                let fix = "Tokens are usually valid for a day: check the clocks of this machine \
                           and the endpoint";
                return finding.warning(found).fix(fix);
            }
            finding.ok(found)
        }
        Err(error) => {
            let found =
                if source.is_empty() { error.to_string() } else { format!("{source}: {error}") };
            let fix = error.help().unwrap_or_else(|| {
                "Try again in a minute. If it persists, read the endpoint's own log, or configure \
                 another source"
                    .into()
            });
            finding.problem(found).fix(fix)
        }
    }
}

/// A duration in hours, minutes or seconds.
fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min"),
        (_, 0) => format!("{hours} h"),
        _ => format!("{hours} h {minutes} min"),
    }
}

/// The endpoint of an identity, if it is not IMDS at 169.254.169.254.
pub(super) fn endpoint(identity: &IdentityConfig) -> Option<&str> {
    match &identity.source {
        IdentitySource::Imds(imds) => imds.endpoint.as_deref(),
        IdentitySource::Platform(SourceKind::Imds, _)
        | IdentitySource::Auto(_)
        | IdentitySource::Supplied => None,
        IdentitySource::Platform(kind, _) => Some(kind.as_str()),
    }
}
