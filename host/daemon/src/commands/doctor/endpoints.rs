//! Checks that the names of the mounts' endpoints resolve to permitted addresses, and that their
//! certificates are trusted.

use std::collections::BTreeMap;

use keyward::Plan;
use keyward::probe::{Endpoints, NotReached};
use keyward_policy::endpoint::Endpoint;

use super::finding::{Check, Finding, Status};
use super::{ENDPOINT_TIMEOUT, join_all};

/// The findings about endpoints, and the endpoints that are reachable.
pub(super) struct EndpointReport {
    pub(super) findings: Vec<Finding>,
    /// The reachable endpoints, and what connects to them.
    pub(super) reachable: Option<(Endpoints, Vec<Endpoint>)>,
}

pub(super) async fn check(plan: &Plan, configured: bool) -> EndpointReport {
    let origins = origins(plan);
    if origins.is_empty() {
        let found = if configured {
            "no mount has an endpoint"
        } else {
            "there are no mounts without a configuration"
        };
        let findings =
            [Check::Name, Check::Tls].map(|check| Finding::about(check, "none").skipped(found));
        return EndpointReport { findings: findings.into(), reachable: None };
    }
    let endpoints = match Endpoints::of(plan, ENDPOINT_TIMEOUT) {
        Ok(endpoints) => endpoints,
        Err(error) => {
            let finding = Finding::about(Check::Tls, "[tls]").problem(error.to_string());
            let fix = "Use PEM files that the broker can read, or install ca-certificates";
            return EndpointReport { findings: vec![finding.fix(fix)], reachable: None };
        }
    };
    let checks = join_all(origins.into_values().map(|(endpoint, mounts)| {
        let endpoints = endpoints.clone();
        async move {
            let subject = format!("{endpoint} ({})", mounts.join(", "));
            let name = check_name(&endpoints, &endpoint, &subject, &mounts).await;
            let tls = Finding::about(Check::Tls, subject);
            let tls = if name.status == Status::Ok {
                tls_finding(tls, endpoints.connect(&endpoint).await)
            } else {
                tls.skipped("its name does not resolve")
            };
            (endpoint, [name, tls])
        }
    }));
    let (mut findings, mut reachable) = (Vec::new(), Vec::new());
    for (endpoint, both) in checks.await {
        if both.iter().all(|finding| finding.status == Status::Ok) {
            reachable.push(endpoint);
        }
        findings.extend(both);
    }
    EndpointReport { findings, reachable: Some((endpoints, reachable)) }
}

/// All distinct origins, each with the mounts that use it.
fn origins(plan: &Plan) -> BTreeMap<(&'static str, String, u16), (Endpoint, Vec<String>)> {
    let mut origins: BTreeMap<_, (Endpoint, Vec<String>)> = BTreeMap::new();
    for mount in &plan.mounts {
        for grant in &mount.grants {
            let redirects = grant.redirects.iter().map(|redirect| &redirect.endpoint);
            for endpoint in std::iter::once(&grant.endpoint).chain(redirects) {
                let key = (endpoint.protocol.scheme(), endpoint.host.clone(), endpoint.port);
                let (_, mounts) =
                    origins.entry(key).or_insert_with(|| (endpoint.clone(), Vec::new()));
                if !mounts.contains(&mount.name) {
                    mounts.push(mount.name.clone());
                }
            }
        }
    }
    origins
}

async fn check_name(
    endpoints: &Endpoints,
    endpoint: &Endpoint,
    subject: &str,
    mounts: &[String],
) -> Finding {
    let finding = Finding::about(Check::Name, subject);
    let (host, port) = (&endpoint.host, endpoint.port);
    match endpoints.addresses(endpoint).await {
        Ok(addresses) => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            finding.ok(format!("resolves to {}", addresses.join(", ")))
        }
        Err(error @ NotReached::Forbidden(_)) => {
            let fix = "Correct the DNS record: requests are never sent to such an address";
            finding.problem(error.to_string()).fix(fix)
        }
        Err(error) => {
            let mount = mounts.first().map_or("", String::as_str);
            let fix = format!(
                "Correct `endpoint` in [mount.{mount}] if it is misspelled; otherwise correct the \
                 DNS record, or set an address\n  \
                 [egress.resolve]\n  \"{host}:{port}\" = \"ADDRESS:{port}\""
            );
            finding.problem(error.to_string()).fix(fix)
        }
    }
}

fn tls_finding(finding: Finding, connected: Result<(), NotReached>) -> Finding {
    let error = match connected {
        Ok(()) => return finding.ok("its certificate is trusted"),
        Err(error) => error,
    };
    let fix = match &error {
        NotReached::Untrusted(_) => {
            "If the certificate is from a private CA, trust that CA. Otherwise, another server may \
             be impersonating the endpoint\n  [tls]\n  ca_files = [\"FILE\"]"
        }
        NotReached::NoTls(_) => {
            "Find out which server is at that address: it is not the service, or a firewall \
             interrupts the connection"
        }
        NotReached::Unresolved(_)
        | NotReached::Forbidden(_)
        | NotReached::Unconnected(_)
        | NotReached::TimedOut(_) => {
            "Permit the connection: check this machine's firewall, the network's rules, the \
             service's allowed networks, or its private endpoint"
        }
    };
    finding.problem(error.to_string()).fix(fix)
}
