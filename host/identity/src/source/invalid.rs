//! What is wrong with a source before it is asked for anything.

use super::{SourceKind, UserAssigned};

/// Checks that a source issues tokens for an identity that is named in this form.
pub(super) fn check(kind: SourceKind, identity: Option<&UserAssigned>) -> Result<(), InvalidSource> {
    match identity {
        Some(identity) if !kind.takes(identity) => {
            Err(InvalidSource::NoUserAssigned { kind, identity: identity.clone() })
        }
        _ => Ok(()),
    }
}

fn instead(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Arc => "A server of Azure Arc has its system-assigned identity only",
        SourceKind::ServiceFabric => "Service Fabric assigns an application its identity when it is deployed",
        SourceKind::CloudShell => "Its tokens are the signed-in person's",
        SourceKind::WorkloadIdentity => "Name it by client_id",
        SourceKind::AzureCli => "Its tokens are those of whoever ran `az login`",
        SourceKind::Imds | SourceKind::AppService => "",
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
    #[error("the source {kind} cannot be asked for the identity with {identity}. {}", instead(*kind))]
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
