//! Which identity sources are here.

use keyward::identity::source::{Detected, InvalidSource, SourceKind, evidence};

use super::finding::{Check, Finding};
use super::metadata::Reached;
use super::variable;

/// The sources to check without a configuration: those with evidence, and the one that `auto` chooses.
pub(super) fn here(auto: Option<SourceKind>) -> Vec<SourceKind> {
    SourceKind::ALL.into_iter().filter(|kind| auto == Some(*kind) || why(*kind).is_some()).collect()
}

pub(super) fn check(detected: &Result<Detected, InvalidSource>, imds: &Reached) -> Vec<Finding> {
    let auto = detected.as_ref().ok().map(|detected| detected.kind);
    let mut findings: Vec<Finding> = SourceKind::ALL
        .into_iter()
        .map(|kind| {
            let finding = Finding::about(Check::Source, kind.as_str());
            let taken = if auto == Some(kind) { "; source = \"auto\" takes this one" } else { "" };
            match (kind, imds, why(kind)) {
                (SourceKind::Imds, Reached::Imds, _) => finding.ok(format!("{imds}{taken}")),
                (SourceKind::Imds, Reached::Other(_) | Reached::Nothing(_), _) => {
                    finding.skipped(format!("{imds}{taken}"))
                }
                (_, _, Some(why)) => finding.ok(format!("{why}{taken}")),
                (_, _, None) => finding.skipped(lacks(kind)),
            }
        })
        .collect();
    if let Err(error) = detected {
        let finding = Finding::about(Check::Source, "auto").warning(error.to_string());
        findings.push(finding.help(error.help()));
    }
    findings
}

fn why(kind: SourceKind) -> Option<&'static str> {
    evidence(kind, &variable, &|path| path.exists())
}

/// What a source would have.
fn lacks(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::AppService => "not here: it has IDENTITY_ENDPOINT and IDENTITY_HEADER",
        SourceKind::Arc => "not here: it has IDENTITY_ENDPOINT and IMDS_ENDPOINT, or the agent's program",
        SourceKind::ServiceFabric => {
            "not here: it has IDENTITY_ENDPOINT, IDENTITY_HEADER and IDENTITY_SERVER_THUMBPRINT"
        }
        SourceKind::CloudShell => "not here: it has MSI_ENDPOINT",
        SourceKind::WorkloadIdentity => "not here: it has AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE",
        SourceKind::AzureCli => "not here: no directory in PATH has `az`",
        SourceKind::Imds => "not here",
    }
}
