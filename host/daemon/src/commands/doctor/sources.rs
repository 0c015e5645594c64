//! Checks which identity sources this machine has.

use keyward::identity::source::{Detected, InvalidSource, SourceKind, evidence};

use super::finding::{Check, Finding};
use super::metadata::MetadataServer;
use crate::environment;

/// The sources to check without a configuration: those with evidence, and the one that `auto`
/// selects.
pub(super) fn available(auto: Option<SourceKind>) -> Vec<SourceKind> {
    let is_available = |kind: &SourceKind| auto == Some(*kind) || evidence_of(*kind).is_some();
    SourceKind::ALL.into_iter().filter(is_available).collect()
}

pub(super) fn check(
    detected: &Result<Detected, InvalidSource>,
    imds: &MetadataServer,
) -> Vec<Finding> {
    let auto = detected.as_ref().ok().map(|detected| detected.kind);
    let mut findings: Vec<Finding> = SourceKind::ALL
        .into_iter()
        .map(|kind| {
            let finding = Finding::about(Check::Source, kind.as_str());
            let is_auto = auto == Some(kind);
            let selected = if is_auto { "; source = \"auto\" selects it" } else { "" };
            match (kind, imds, evidence_of(kind)) {
                (SourceKind::Imds, MetadataServer::Imds, _) => {
                    finding.ok(format!("{imds}{selected}"))
                }
                (
                    SourceKind::Imds,
                    MetadataServer::Other(_) | MetadataServer::Unreachable(_),
                    _,
                ) => finding.skipped(format!("{imds}{selected}")),
                (_, _, Some(evidence)) => finding.ok(format!("{evidence}{selected}")),
                (_, _, None) => finding.skipped(missing_evidence(kind)),
            }
        })
        .collect();
    if let Err(error) = detected {
        let finding = Finding::about(Check::Source, "auto").warning(error.to_string());
        findings.push(finding.help(error.help()));
    }
    findings
}

fn evidence_of(kind: SourceKind) -> Option<&'static str> {
    evidence(kind, &environment::var, &|path| path.exists())
}

/// The finding about a source without evidence.
fn missing_evidence(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::AppService => "not found: IDENTITY_ENDPOINT and IDENTITY_HEADER are not set",
        SourceKind::Arc => {
            "not found: IDENTITY_ENDPOINT and IMDS_ENDPOINT are not set, and the agent is not \
             installed"
        }
        SourceKind::ServiceFabric => {
            "not found: IDENTITY_ENDPOINT, IDENTITY_HEADER and IDENTITY_SERVER_THUMBPRINT are not \
             set"
        }
        SourceKind::CloudShell => "not found: MSI_ENDPOINT is not set",
        SourceKind::WorkloadIdentity => {
            "not found: AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE are not set"
        }
        SourceKind::AzureCli => "not found: no directory in PATH contains `az`",
        SourceKind::Imds => "not found",
    }
}
