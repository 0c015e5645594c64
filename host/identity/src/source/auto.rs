//! `source = "auto"`: detection of this machine's source.
//!
//! The order is that of the Azure SDKs: workload identity comes before managed identities
//! ([`DefaultAzureCredential`]), and these are distinguished by their variables ([MSAL],
//! `GetManagedIdentitySource`):
//!
//! 1. `AZURE_TENANT_ID`, `AZURE_FEDERATED_TOKEN_FILE` and a client id: workload identity
//! 2. `IDENTITY_ENDPOINT`, `IDENTITY_HEADER`, `IDENTITY_SERVER_THUMBPRINT`: Service Fabric
//! 3. `IDENTITY_ENDPOINT`, `IDENTITY_HEADER`: App Service
//! 4. `MSI_ENDPOINT`, `MSI_SECRET`: Azure Machine Learning, which is not supported
//! 5. `MSI_ENDPOINT`: Cloud Shell
//! 6. `IDENTITY_ENDPOINT`, `IMDS_ENDPOINT`, or the agent's program: Azure Arc
//! 7. otherwise: IMDS
//!
//! The Azure CLI is never chosen: a server must not act as a user who once signed in there.
//!
//! [`DefaultAzureCredential`]: https://learn.microsoft.com/javascript/api/@azure/identity/defaultazurecredential
//! [MSAL]: https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/blob/main/src/client/Microsoft.Identity.Client/ManagedIdentity/ManagedIdentityClient.cs

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::create::create;
use super::invalid::InvalidSource;
use super::settings::Settings;
use super::token_source::{Env, TokenSource};
use super::{SourceKind, UserAssigned};

/// The detected source of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Detected {
    /// The source.
    pub kind: SourceKind,
    /// The evidence: `IDENTITY_ENDPOINT and IDENTITY_HEADER are set`.
    pub why: &'static str,
}

/// The evidence that this machine has a source, whichever source `auto` chooses: variables that are
/// set, or a program that exists.
///
/// `None` if there is none. There never is any for IMDS, which only a request could detect; this
/// function sends none. `exists` is called with paths of programs.
#[must_use]
pub fn evidence(
    kind: SourceKind,
    env: Env<'_>,
    exists: &dyn Fn(&Path) -> bool,
) -> Option<&'static str> {
    let are_set = |names: &[&str]| names.iter().all(|name| is_set(env, name));
    match kind {
        SourceKind::WorkloadIdentity => are_set(&["AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"])
            .then_some("AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE are set"),
        SourceKind::ServiceFabric => {
            are_set(&["IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT"])
                .then_some(
                    "IDENTITY_ENDPOINT, IDENTITY_HEADER and IDENTITY_SERVER_THUMBPRINT are set",
                )
        }
        SourceKind::AppService => {
            let is_service_fabric = is_set(env, "IDENTITY_SERVER_THUMBPRINT");
            (are_set(&["IDENTITY_ENDPOINT", "IDENTITY_HEADER"]) && !is_service_fabric)
                .then_some("IDENTITY_ENDPOINT and IDENTITY_HEADER are set")
        }
        SourceKind::CloudShell => (is_set(env, "MSI_ENDPOINT") && !is_set(env, "MSI_SECRET"))
            .then_some("MSI_ENDPOINT is set"),
        SourceKind::Arc => {
            let is_app_service = is_set(env, "IDENTITY_HEADER");
            if are_set(&["IDENTITY_ENDPOINT", "IMDS_ENDPOINT"]) && !is_app_service {
                Some("IDENTITY_ENDPOINT and IMDS_ENDPOINT are set")
            } else {
                exists(&arc_agent(env)).then_some("the Azure Arc agent is installed")
            }
        }
        SourceKind::AzureCli => {
            let program = if cfg!(windows) { "az.cmd" } else { "az" };
            let path = env("PATH").unwrap_or_default();
            let is_in_path =
                std::env::split_paths(&path).any(|directory| exists(&directory.join(program)));
            is_in_path.then_some("`az` is in PATH")
        }
        SourceKind::Imds => None,
    }
}

/// The sources that have evidence, in the order of detection.
const ORDER: [SourceKind; 5] = [
    SourceKind::WorkloadIdentity,
    SourceKind::ServiceFabric,
    SourceKind::AppService,
    SourceKind::CloudShell,
    SourceKind::Arc,
];

/// Detects this machine's source by its variables and, for Azure Arc, by calling `exists` with the
/// path of the agent's program. Sends no request.
///
/// # Errors
///
/// [`InvalidSource::Unsupported`] on Azure Machine Learning.
pub fn detect(env: Env<'_>, exists: &dyn Fn(&Path) -> bool) -> Result<Detected, InvalidSource> {
    let is_machine_learning = is_set(env, "MSI_ENDPOINT") && is_set(env, "MSI_SECRET");
    for kind in ORDER {
        // Azure Machine Learning sets Cloud Shell's variable and another one.
        if kind == SourceKind::CloudShell && is_machine_learning {
            let platform = "Azure Machine Learning (MSI_ENDPOINT and MSI_SECRET are set)";
            return Err(InvalidSource::Unsupported { platform });
        }
        if let Some(why) = evidence(kind, env, exists) {
            return Ok(Detected { kind, why });
        }
    }
    Ok(Detected { kind: SourceKind::Imds, why: "no other source's variables are all set" })
}

/// Creates the source that this machine has, and logs which it is and why. `authority` is the
/// cloud's authority, for workload identity.
///
/// # Errors
///
/// [`InvalidSource`] if the source's variables are invalid, or it has no tokens for this identity.
pub fn auto(
    env: Env<'_>,
    identity: Option<UserAssigned>,
    authority: Option<&str>,
    settings: Settings,
) -> Result<Arc<dyn TokenSource>, InvalidSource> {
    let Detected { kind, why } = detect(env, &|path| path.exists())?;
    let source = create(kind, env, identity, authority, settings)?;
    tracing::info!(source = %kind, why, identity = source.describe(), "chose an identity source");
    Ok(source)
}

fn is_set(env: Env<'_>, name: &str) -> bool {
    env(name).is_some_and(|value| !value.trim().is_empty())
}

fn arc_agent(env: Env<'_>) -> PathBuf {
    if cfg!(windows) {
        let programs = env("ProgramFiles").unwrap_or_else(|| r"C:\Program Files".to_owned());
        Path::new(&programs).join("AzureConnectedMachineAgent").join("himds.exe")
    } else {
        PathBuf::from("/opt/azcmagent/bin/himds")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 8] = [
        "AZURE_TENANT_ID",
        "AZURE_FEDERATED_TOKEN_FILE",
        "IDENTITY_SERVER_THUMBPRINT",
        "IDENTITY_HEADER",
        "IDENTITY_ENDPOINT",
        "MSI_SECRET",
        "MSI_ENDPOINT",
        "IMDS_ENDPOINT",
    ];

    fn detected(set: &[&str], has_agent: bool) -> Option<SourceKind> {
        let env = |name: &str| set.contains(&name).then(|| "x".to_owned());
        detect(&env, &|_| has_agent).ok().map(|detected| detected.kind)
    }

    #[test]
    fn the_order_is_that_of_the_sdks() {
        let endpoint = "IDENTITY_ENDPOINT";
        for (set, has_agent, expected) in [
            (&ALL[..], true, Some(SourceKind::WorkloadIdentity)),
            (&ALL[2..], true, Some(SourceKind::ServiceFabric)),
            (&ALL[3..], true, Some(SourceKind::AppService)),
            // Azure Machine Learning.
            (&ALL[4..], true, None),
            (&ALL[6..], true, Some(SourceKind::CloudShell)),
            (&[endpoint, "IMDS_ENDPOINT"], false, Some(SourceKind::Arc)),
            (&ALL[7..], true, Some(SourceKind::Arc)),
            (&ALL[7..], false, Some(SourceKind::Imds)),
            (&[], false, Some(SourceKind::Imds)),
            // App Service has two variables.
            (&[endpoint], false, Some(SourceKind::Imds)),
            (&["AZURE_TENANT_ID", "AZURE_CLIENT_ID"], false, Some(SourceKind::Imds)),
        ] {
            assert_eq!(detected(set, has_agent), expected, "{set:?}");
        }
    }

    #[test]
    fn each_source_has_evidence_of_its_own() {
        let has_evidence = |kind, set: &[&str], program: &str| {
            let env = |name: &str| match name {
                "PATH" => Some("/bin:/opt/azure".to_owned()),
                name => set.contains(&name).then(|| "x".to_owned()),
            };
            evidence(kind, &env, &|path| path == Path::new(program)).is_some()
        };
        let app_service = ["IDENTITY_ENDPOINT", "IDENTITY_HEADER"];
        assert!(has_evidence(SourceKind::AppService, &app_service, ""));
        assert!(!has_evidence(SourceKind::ServiceFabric, &app_service, ""));
        let fabric = ["IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT"];
        assert!(has_evidence(SourceKind::ServiceFabric, &fabric, ""));
        assert!(!has_evidence(SourceKind::AppService, &fabric, ""));
        assert!(!has_evidence(SourceKind::CloudShell, &["MSI_ENDPOINT", "MSI_SECRET"], ""));
        for kind in SourceKind::ALL {
            assert!(!has_evidence(kind, &[], ""), "{kind}");
        }
        #[cfg(unix)]
        {
            assert!(has_evidence(SourceKind::AzureCli, &[], "/opt/azure/az"));
            assert!(has_evidence(SourceKind::Arc, &[], "/opt/azcmagent/bin/himds"));
        }
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let env = |name: &str| (name == "MSI_ENDPOINT").then(|| " ".to_owned());
        assert_eq!(detect(&env, &|_| false).unwrap().kind, SourceKind::Imds);
    }
}
