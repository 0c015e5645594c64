//! Creates sources of every kind.

use std::sync::Arc;

use super::app_service::AppService;
use super::arc::AzureArc;
use super::azure_cli::AzureCli;
use super::cloud_shell::CloudShell;
use super::imds::Imds;
use super::invalid::{self, InvalidSource};
use super::service_fabric::ServiceFabric;
use super::settings::Settings;
use super::token_source::{Env, TokenSource};
use super::workload_identity::WorkloadIdentity;
use super::{SourceKind, UserAssigned};

/// Creates a source of a kind, for a user-assigned identity or the system-assigned one.
///
/// `env` has the platform's environment variables. `authority` is the cloud's authority for
/// workload identity; `AZURE_AUTHORITY_HOST` takes precedence.
///
/// # Errors
///
/// [`InvalidSource`] if a variable is missing or invalid, or if a source of this kind has no tokens
/// for this identity.
pub fn create(
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
        SourceKind::ServiceFabric => {
            Arc::new(ServiceFabric::from_env(env, identity)?.settings(settings))
        }
        SourceKind::CloudShell => Arc::new(CloudShell::from_env(env, identity)?.settings(settings)),
        SourceKind::WorkloadIdentity => {
            Arc::new(WorkloadIdentity::from_env(env, identity, authority)?.settings(settings))
        }
        SourceKind::AzureCli => Arc::new(AzureCli::new().settings(&settings)),
    })
}
