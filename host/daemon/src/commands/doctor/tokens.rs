//! Whether each identity answers, for whom, and for how long its token is valid.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use keyward::Plan;
use keyward::identity::Audience;
use keyward::identity::source::SourceKind;
use keyward::probe::{Answered, Identities, NoToken};
use keyward_policy::config::{IdentityConfig, IdentitySource};

use super::clock::{Reading, now};
use super::finding::{Check, Finding, Status};
use super::{Patient, TOKEN, all};

/// A token that ends sooner than this is one that the cache renews at once.
const SHORT: Duration = Duration::from_secs(5 * 60);

/// What came of asking.
pub(super) struct Asked {
    pub(super) findings: Vec<Finding>,
    /// What the endpoints' clocks said.
    pub(super) clocks: Vec<Reading>,
}

pub(super) async fn check(patient: &Patient, configured: bool) -> Asked {
    let Patient { plan, auto, .. } = patient;
    let identities = Identities::of(plan, TOKEN);
    let asked = all(wanted(plan).into_iter().map(|(name, audience)| {
        let identities = identities.clone();
        async move {
            let answered = identities.ask(&name, &audience, TOKEN).await;
            (now(), name, audience, answered)
        }
    }));
    let (mut findings, mut clocks) = (Vec::new(), Vec::new());
    for (now, name, audience, answered) in asked.await {
        let finding = Finding::about(Check::Token, format!("{name} for {audience}"));
        let source = identities.describe(&name).unwrap_or_default();
        if let Ok(Answered { endpoint_clock: Some(there), .. }) = &answered {
            clocks.push(Reading { whose: format!("the endpoint of identity {name}"), here: now, there: *there });
        }
        let finding = told(finding, &source, answered);
        // Without a configuration, only one source is taken. That another has nothing to say harms nobody.
        let other = !configured && auto.is_none_or(|auto| auto.as_str() != name);
        let harmless = other && finding.status == Status::Problem;
        findings.push(if harmless { Finding { status: Status::Warning, ..finding } } else { finding });
    }
    for name in plan.identities().keys() {
        let finding = || Finding::about(Check::TokensOnDisk, name.as_str());
        findings.extend(identities.key(name).map(|key| match key {
            Ok(()) => finding().ok("the key of its tokens on disk can be used"),
            Err(error) => finding().problem(error.to_string()).help(error.help()),
        }));
    }
    if plan.identities().is_empty() {
        let found = "no identity is configured";
        findings.push(Finding::about(Check::Token, "none").skipped(found));
    }
    Asked { findings, clocks }
}

/// Each identity, with the audiences that mounts use it for; Resource Manager's where none does.
fn wanted(plan: &Plan) -> BTreeSet<(String, Audience)> {
    let mut audiences: BTreeMap<&str, Vec<Audience>> = BTreeMap::new();
    for mount in &plan.mounts {
        let grants = mount.grants.iter().map(|grant| grant.audience.clone());
        audiences.entry(mount.identity.as_str()).or_default().extend(grants);
    }
    let services = &plan.cloud().services;
    let usual = services.get("arm").or_else(|| services.values().next());
    let usual = usual.and_then(|service| Audience::new(&service.audience).ok());
    let each = plan.identities().keys().flat_map(|name| {
        let used = audiences.get(name.as_str()).cloned();
        let used = used.unwrap_or_else(|| usual.iter().cloned().collect());
        used.into_iter().map(|audience| (name.clone(), audience))
    });
    each.collect()
}

fn told(finding: Finding, source: &str, answered: Result<Answered, NoToken>) -> Finding {
    match answered {
        Ok(answered) => {
            let whose = answered.client_id.map_or_else(
                || "answers, and does not say for whom".to_owned(),
                |id| format!("answers for client id {id}"),
            );
            let found = format!("{source}, {whose}; its token is valid for {}", human(answered.valid_for));
            if answered.valid_for < SHORT {
                let fix = "Tokens usually live for a day: check the clock, here and at the endpoint";
                return finding.warning(found).fix(fix);
            }
            finding.ok(found)
        }
        Err(error) => {
            let found = if source.is_empty() { error.to_string() } else { format!("{source}: {error}") };
            let fix = error.help().unwrap_or_else(|| {
                "Wait a minute and look again; then look at the endpoint's own log, or name another source".into()
            });
            finding.problem(found).fix(fix)
        }
    }
}

/// A duration as people say it.
fn human(duration: Duration) -> String {
    let (hours, minutes, seconds) = (duration.as_secs() / 3600, duration.as_secs() / 60 % 60, duration.as_secs() % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min"),
        (_, 0) => format!("{hours} h"),
        _ => format!("{hours} h {minutes} min"),
    }
}

/// Whether an identity asks IMDS where every virtual machine has it, or where else it asks.
pub(super) fn endpoint(identity: &IdentityConfig) -> Option<&str> {
    match &identity.source {
        IdentitySource::Imds(imds) => imds.endpoint.as_deref(),
        IdentitySource::Platform(SourceKind::Imds, _) | IdentitySource::Auto(_) | IdentitySource::Supplied => None,
        IdentitySource::Platform(kind, _) => Some(kind.as_str()),
    }
}
