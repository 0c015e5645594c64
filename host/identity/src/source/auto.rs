//! `source = "auto"`: which source this machine has.
//!
//! The order is that of the Azure SDKs: workload identity comes before managed identities ([`DefaultAzureCredential`]),
//! and these are told apart by their variables ([MSAL], `GetManagedIdentitySource`):
//!
//! 1. `AZURE_TENANT_ID`, `AZURE_FEDERATED_TOKEN_FILE` and a client id: workload identity
//! 2. `IDENTITY_ENDPOINT`, `IDENTITY_HEADER`, `IDENTITY_SERVER_THUMBPRINT`: Service Fabric
//! 3. `IDENTITY_ENDPOINT`, `IDENTITY_HEADER`: App Service
//! 4. `MSI_ENDPOINT`, `MSI_SECRET`: Azure Machine Learning, which is not supported
//! 5. `MSI_ENDPOINT`: Cloud Shell
//! 6. `IDENTITY_ENDPOINT`, `IMDS_ENDPOINT`, or the agent's program: Azure Arc
//! 7. none of these: IMDS
//!
//! The Azure CLI is never chosen: a server must not act as whoever once signed in there.
//!
//! [`DefaultAzureCredential`]: https://learn.microsoft.com/javascript/api/@azure/identity/defaultazurecredential
//! [MSAL]: https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/blob/main/src/client/Microsoft.Identity.Client/ManagedIdentity/ManagedIdentityClient.cs

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Env, InvalidSource, Settings, SourceKind, TokenSource, UserAssigned, source};

/// The source that a machine has, and what told so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Detected {
    /// The source.
    pub kind: SourceKind,
    /// Why, in a few words: `IDENTITY_ENDPOINT and IDENTITY_HEADER are set`.
    pub why: &'static str,
}

/// What of the machine speaks for a source, whatever comes before it in the order: which of its variables are set, or which
/// of its programs is there. `None` where nothing does. For IMDS nothing can, since only its endpoint tells; nothing is
/// asked here. `exists` is called with paths of programs.
#[must_use]
pub fn traces(kind: SourceKind, env: Env<'_>, exists: &dyn Fn(&Path) -> bool) -> Option<&'static str> {
    let set = |names: &[&str]| names.iter().all(|name| env(name).is_some_and(|value| !value.trim().is_empty()));
    let found = |is_there: bool, why| is_there.then_some(why);
    match kind {
        SourceKind::WorkloadIdentity => found(
            set(&["AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"]),
            "AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE are set",
        ),
        SourceKind::ServiceFabric => found(
            set(&["IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT"]),
            "IDENTITY_ENDPOINT, IDENTITY_HEADER and IDENTITY_SERVER_THUMBPRINT are set",
        ),
        SourceKind::AppService => found(
            set(&["IDENTITY_ENDPOINT", "IDENTITY_HEADER"]) && !set(&["IDENTITY_SERVER_THUMBPRINT"]),
            "IDENTITY_ENDPOINT and IDENTITY_HEADER are set",
        ),
        SourceKind::CloudShell => found(set(&["MSI_ENDPOINT"]) && !set(&["MSI_SECRET"]), "MSI_ENDPOINT is set"),
        SourceKind::Arc => {
            let variables = set(&["IDENTITY_ENDPOINT", "IMDS_ENDPOINT"]) && !set(&["IDENTITY_HEADER"]);
            found(variables, "IDENTITY_ENDPOINT and IMDS_ENDPOINT are set")
                .or_else(|| found(exists(&arc_agent(env)), "the Azure Arc agent is installed"))
        }
        SourceKind::AzureCli => {
            let program = if cfg!(windows) { "az.cmd" } else { "az" };
            let path = env("PATH").unwrap_or_default();
            found(std::env::split_paths(&path).any(|directory| exists(&directory.join(program))), "`az` is in PATH")
        }
        SourceKind::Imds => None,
    }
}

/// The sources that are told apart by their variables, in the order in which they are looked for.
const ORDER: [SourceKind; 5] = [
    SourceKind::WorkloadIdentity,
    SourceKind::ServiceFabric,
    SourceKind::AppService,
    SourceKind::CloudShell,
    SourceKind::Arc,
];

/// Finds out which source this machine has. Nothing is asked: variables are read, and for Azure Arc `exists` is called with
/// the path of the agent's program.
///
/// # Errors
///
/// [`InvalidSource::Unsupported`] on Azure Machine Learning.
pub fn detect(env: Env<'_>, exists: &dyn Fn(&Path) -> bool) -> Result<Detected, InvalidSource> {
    let set = |name: &str| env(name).is_some_and(|value| !value.trim().is_empty());
    let machine_learning = set("MSI_ENDPOINT") && set("MSI_SECRET");
    for kind in ORDER {
        // It has Cloud Shell's variable, and another.
        if kind == SourceKind::CloudShell && machine_learning {
            let platform = "Azure Machine Learning (MSI_ENDPOINT and MSI_SECRET are set)";
            return Err(InvalidSource::Unsupported { platform });
        }
        if let Some(why) = traces(kind, env, exists) {
            return Ok(Detected { kind, why });
        }
    }
    Ok(Detected { kind: SourceKind::Imds, why: "no other source's variables are set" })
}

/// Makes the source that this machine has, and says in one line of the log which it is and why. `authority` is the cloud's,
/// for workload identity.
///
/// # Errors
///
/// [`InvalidSource`] where its variables cannot be used, or it cannot be asked for this identity.
pub fn auto(
    env: Env<'_>,
    identity: Option<UserAssigned>,
    authority: Option<&str>,
    settings: Settings,
) -> Result<Arc<dyn TokenSource>, InvalidSource> {
    let Detected { kind, why } = detect(env, &|path| path.exists())?;
    let source = source(kind, env, identity, authority, settings)?;
    tracing::info!(source = %kind, why, identity = source.describe(), "chose an identity source");
    Ok(source)
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

    fn of(set: &[&str], agent: bool) -> Option<SourceKind> {
        let env = |name: &str| set.contains(&name).then(|| "x".to_owned());
        detect(&env, &|_| agent).ok().map(|found| found.kind)
    }

    #[test]
    fn the_order_is_that_of_the_sdks() {
        assert_eq!(of(&ALL, true), Some(SourceKind::WorkloadIdentity));
        assert_eq!(of(&ALL[2..], true), Some(SourceKind::ServiceFabric));
        assert_eq!(of(&ALL[3..], true), Some(SourceKind::AppService));
        assert_eq!(of(&ALL[4..], true), None, "Azure Machine Learning");
        assert_eq!(of(&ALL[6..], true), Some(SourceKind::CloudShell));
        assert_eq!(of(&["IDENTITY_ENDPOINT", "IMDS_ENDPOINT"], false), Some(SourceKind::Arc));
        assert_eq!(of(&ALL[7..], true), Some(SourceKind::Arc));
        assert_eq!(of(&ALL[7..], false), Some(SourceKind::Imds));
        assert_eq!(of(&[], false), Some(SourceKind::Imds));
        assert_eq!(of(&["IDENTITY_ENDPOINT"], false), Some(SourceKind::Imds), "half an App Service");
        assert_eq!(of(&["AZURE_TENANT_ID", "AZURE_CLIENT_ID"], false), Some(SourceKind::Imds));
    }

    #[test]
    fn each_source_leaves_its_traces() {
        let of = |kind, set: &[&str], there: &str| {
            let env = |name: &str| match name {
                "PATH" => Some("/bin:/opt/azure".to_owned()),
                name => set.contains(&name).then(|| "x".to_owned()),
            };
            traces(kind, &env, &|path| path == Path::new(there)).is_some()
        };
        let app_service = ["IDENTITY_ENDPOINT", "IDENTITY_HEADER"];
        assert!(of(SourceKind::AppService, &app_service, "") && !of(SourceKind::ServiceFabric, &app_service, ""));
        let fabric = ["IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT"];
        assert!(of(SourceKind::ServiceFabric, &fabric, "") && !of(SourceKind::AppService, &fabric, ""));
        assert!(!of(SourceKind::CloudShell, &["MSI_ENDPOINT", "MSI_SECRET"], ""));
        for kind in SourceKind::ALL {
            assert!(!of(kind, &[], ""), "{kind}");
        }
        #[cfg(unix)]
        {
            assert!(of(SourceKind::AzureCli, &[], "/opt/azure/az"));
            assert!(of(SourceKind::Arc, &[], "/opt/azcmagent/bin/himds"));
        }
    }

    #[test]
    fn a_variable_that_is_empty_is_not_set() {
        let env = |name: &str| (name == "MSI_ENDPOINT").then(|| " ".to_owned());
        assert_eq!(detect(&env, &|_| false).unwrap().kind, SourceKind::Imds);
    }
}
