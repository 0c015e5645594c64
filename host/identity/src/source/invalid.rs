//! What is wrong with a source before it is asked for anything.

use std::fmt;

use super::UserAssigned;

/// The kinds of sources, by the names that a configuration has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// `imds`: virtual machines and scale sets.
    Imds,
    /// `app-service`: App Service, Functions, Container Apps.
    AppService,
    /// `arc`: servers elsewhere that Azure Arc manages.
    Arc,
    /// `service-fabric`.
    ServiceFabric,
    /// `cloud-shell`, and the extension for virtual machines that came before IMDS.
    CloudShell,
    /// `workload-identity`: Kubernetes.
    WorkloadIdentity,
    /// `azure-cli`: a developer's machine.
    AzureCli,
}

impl SourceKind {
    /// All of them.
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

    /// Whether it gives tokens of a user-assigned identity that is named by this form.
    #[must_use]
    pub fn takes(self, identity: &UserAssigned) -> bool {
        match self {
            Self::Imds | Self::AppService => true,
            Self::WorkloadIdentity => matches!(identity, UserAssigned::ClientId(_)),
            Self::Arc | Self::ServiceFabric | Self::CloudShell | Self::AzureCli => false,
        }
    }

    pub(super) fn check(self, identity: Option<&UserAssigned>) -> Result<(), InvalidSource> {
        match identity {
            Some(identity) if !self.takes(identity) => {
                Err(InvalidSource::NoUserAssigned { kind: self, identity: identity.clone() })
            }
            _ => Ok(()),
        }
    }

    fn instead(self) -> &'static str {
        match self {
            Self::Arc => "A server of Azure Arc has its system-assigned identity only",
            Self::ServiceFabric => "Service Fabric assigns an application its identity when it is deployed",
            Self::CloudShell => "Its tokens are the signed-in person's",
            Self::WorkloadIdentity => "Name it by client_id",
            Self::AzureCli => "Its tokens are those of whoever ran `az login`",
            Self::Imds | Self::AppService => "",
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a source cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSource {
    /// An environment variable is not there, or empty.
    #[error(
        "the source {kind} needs the environment variable {variable}, which the platform sets. Where it does not, this is \
         no machine for that source: configure another, or source = \"auto\""
    )]
    MissingVariable {
        /// The source.
        kind: SourceKind,
        /// The variable.
        variable: &'static str,
    },
    /// The source cannot say whose token it wants, or not in this form.
    #[error("the source {kind} cannot be asked for the identity with {identity}. {}", kind.instead())]
    NoUserAssigned {
        /// The source.
        kind: SourceKind,
        /// The identity that was wanted.
        identity: UserAssigned,
    },
    /// An address is none.
    #[error("{endpoint:?} is not an address for the source {kind}: expected {expected}")]
    Endpoint {
        /// The source.
        kind: SourceKind,
        /// The address.
        endpoint: String,
        /// What would be one.
        expected: &'static str,
    },
    /// A value cannot be sent, or is not what it should be.
    #[error("the {name} of the source {kind} cannot be used: expected {expected}")]
    Value {
        /// The source.
        kind: SourceKind,
        /// What it is. Its value may be a secret, and is not said.
        name: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// The platform is known, and not supported.
    #[error("this looks like {platform}, whose identities are not supported. Name a source instead of \"auto\"")]
    Unsupported {
        /// The platform.
        platform: &'static str,
    },
}
