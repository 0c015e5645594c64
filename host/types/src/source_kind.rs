//! Kinds of identity sources.

use std::fmt;

use crate::UserAssigned;

/// The kinds of identity sources, by their names in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// `imds`: virtual machines and scale sets.
    Imds,
    /// `app-service`: App Service, Functions, Container Apps.
    AppService,
    /// `arc`: servers outside of Azure that Azure Arc manages.
    Arc,
    /// `service-fabric`.
    ServiceFabric,
    /// `cloud-shell`, and the extension for virtual machines that preceded IMDS.
    CloudShell,
    /// `workload-identity`: Kubernetes.
    WorkloadIdentity,
    /// `azure-cli`: a developer's machine.
    AzureCli,
}

impl SourceKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Imds,
        Self::AppService,
        Self::Arc,
        Self::ServiceFabric,
        Self::CloudShell,
        Self::WorkloadIdentity,
        Self::AzureCli,
    ];

    /// The name in a configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Imds => "imds",
            Self::AppService => "app-service",
            Self::Arc => "arc",
            Self::ServiceFabric => "service-fabric",
            Self::CloudShell => "cloud-shell",
            Self::WorkloadIdentity => "workload-identity",
            Self::AzureCli => "azure-cli",
        }
    }

    /// Whether the source issues tokens for a user-assigned identity that is named in this form.
    #[must_use]
    pub fn takes(self, identity: &UserAssigned) -> bool {
        match self {
            Self::Imds | Self::AppService => true,
            Self::WorkloadIdentity => matches!(identity, UserAssigned::ClientId(_)),
            Self::Arc | Self::ServiceFabric | Self::CloudShell | Self::AzureCli => false,
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
