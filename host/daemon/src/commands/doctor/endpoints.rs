//! Whether the mounts' endpoints have addresses that requests may go to, and are who they say they are.

use std::collections::BTreeMap;

use keyward::Plan;
use keyward::probe::{Endpoints, NotReached};
use keyward_policy::endpoint::Endpoint;

use super::finding::{Check, Finding, Status};
use super::{ENDPOINT, all};

/// What came of looking for them.
pub(super) struct Looked {
    pub(super) findings: Vec<Finding>,
    /// Those that were reached, and how.
    pub(super) reached: Option<(Endpoints, Vec<Endpoint>)>,
}

pub(super) async fn check(plan: &Plan, configured: bool) -> Looked {
    let wanted = wanted(plan);
    if wanted.is_empty() {
        let found = if configured { "no mount has an endpoint" } else { "without a configuration there is no mount" };
        let findings = [Check::Name, Check::Tls].map(|check| Finding::about(check, "none").skipped(found));
        return Looked { findings: findings.into(), reached: None };
    }
    let endpoints = match Endpoints::of(plan, ENDPOINT) {
        Ok(endpoints) => endpoints,
        Err(error) => {
            let finding = Finding::about(Check::Tls, "[tls]").problem(error.to_string());
            let fix = "Name files of certificates in PEM that the broker may read, or install ca-certificates";
            return Looked { findings: vec![finding.fix(fix)], reached: None };
        }
    };
    let looked = all(wanted.into_values().map(|(endpoint, mounts)| {
        let endpoints = endpoints.clone();
        async move {
            let subject = format!("{endpoint} ({})", mounts.join(", "));
            let name = name(&endpoints, &endpoint, &subject, &mounts).await;
            let tls = Finding::about(Check::Tls, subject);
            let tls = if name.status == Status::Ok {
                tell_tls(tls, endpoints.connect(&endpoint).await)
            } else {
                tls.skipped("its name does not resolve")
            };
            (endpoint, [name, tls])
        }
    }));
    let (mut findings, mut reached) = (Vec::new(), Vec::new());
    for (endpoint, both) in looked.await {
        if both.iter().all(|finding| finding.status == Status::Ok) {
            reached.push(endpoint);
        }
        findings.extend(both);
    }
    Looked { findings, reached: Some((endpoints, reached)) }
}

/// Each origin once, with the mounts that talk to it.
fn wanted(plan: &Plan) -> BTreeMap<(&'static str, String, u16), (Endpoint, Vec<String>)> {
    let mut wanted: BTreeMap<_, (Endpoint, Vec<String>)> = BTreeMap::new();
    for mount in &plan.mounts {
        for grant in &mount.grants {
            let redirects = grant.redirects.iter().map(|redirect| &redirect.endpoint);
            for endpoint in std::iter::once(&grant.endpoint).chain(redirects) {
                let key = (endpoint.protocol.scheme(), endpoint.host.clone(), endpoint.port);
                let (_, mounts) = wanted.entry(key).or_insert_with(|| (endpoint.clone(), Vec::new()));
                if !mounts.contains(&mount.name) {
                    mounts.push(mount.name.clone());
                }
            }
        }
    }
    wanted
}

async fn name(endpoints: &Endpoints, endpoint: &Endpoint, subject: &str, mounts: &[String]) -> Finding {
    let finding = Finding::about(Check::Name, subject);
    let (host, port) = (&endpoint.host, endpoint.port);
    match endpoints.addresses(endpoint).await {
        Ok(addresses) => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            finding.ok(format!("leads to {}", addresses.join(", ")))
        }
        Err(error @ NotReached::Forbidden(_)) => {
            let fix = "Requests to such addresses are never sent. Correct the DNS record";
            finding.problem(error.to_string()).fix(fix)
        }
        Err(error) => {
            let mount = mounts.first().map_or("", String::as_str);
            let fix = format!(
                "Correct `endpoint` in [mount.{mount}] if it is misspelt; otherwise correct the DNS record, or set an address\n  \
                 [egress.resolve]\n  \"{host}:{port}\" = \"ADDRESS:{port}\""
            );
            finding.problem(error.to_string()).fix(fix)
        }
    }
}

fn tell_tls(finding: Finding, connected: Result<(), NotReached>) -> Finding {
    let error = match connected {
        Ok(()) => return finding.ok("its certificate is trusted"),
        Err(error) => error,
    };
    let fix = match &error {
        NotReached::Untrusted(_) => {
            "If you know the authority that signed its certificate, add that one. If you do not, somebody answers in its \
             place\n  [tls]\n  ca_files = [\"FILE\"]"
        }
        NotReached::NoTls(_) => {
            "Something else answers in its place, or a firewall cuts it off: see what is at that address"
        }
        NotReached::Unresolved(_) | NotReached::Forbidden(_) | NotReached::Unconnected(_) | NotReached::TimedOut(_) => {
            "Open the way to it: this machine's firewall, the network's rules, the service's own list of networks, or its \
             private endpoint"
        }
    };
    finding.problem(error.to_string()).fix(fix)
}
