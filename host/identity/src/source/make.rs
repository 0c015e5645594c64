//! The one place where a source of any kind is made.

use std::sync::Arc;

use super::{
    AppService, AzureArc, AzureCli, CloudShell, Env, Imds, InvalidSource, ServiceFabric, Settings, SourceKind,
    TokenSource, UserAssigned, WorkloadIdentity, invalid,
};

/// Makes a source of a kind, for the system-assigned identity or the one that is named.
///
/// What the platform sets comes from the environment variables `env`. `authority` is the cloud's,
/// for workload identity: it is used where `AZURE_AUTHORITY_HOST` is not set.
///
/// # Errors
///
/// [`InvalidSource`] where a variable is missing or unusable, or where this kind cannot be asked
/// for this identity.
pub fn source(
    kind: SourceKind,
    env: Env<'_>,
    identity: Option<UserAssigned>,
    authority: Option<&str>,
    settings: Settings,
) -> Result<Arc<dyn TokenSource>, InvalidSource> {
    invalid::check(kind, identity.as_ref())?;
    Ok(match kind {
        SourceKind::Imds => {
            let imds = Imds::new().settings(settings);
            Arc::new(identity.into_iter().fold(imds, Imds::user_assigned))
        }
        SourceKind::AppService => Arc::new(AppService::from_env(env, identity)?.settings(settings)),
        SourceKind::Arc => Arc::new(AzureArc::from_env(env, identity)?.settings(settings)),
        SourceKind::ServiceFabric => Arc::new(ServiceFabric::from_env(env, identity)?.settings(settings)),
        SourceKind::CloudShell => Arc::new(CloudShell::from_env(env, identity)?.settings(settings)),
        SourceKind::WorkloadIdentity => {
            Arc::new(WorkloadIdentity::from_env(env, identity, authority)?.settings(settings))
        }
        SourceKind::AzureCli => Arc::new(AzureCli::new().settings(&settings)),
    })
}
