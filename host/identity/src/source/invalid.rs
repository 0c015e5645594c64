//! Why a source cannot be created.

use super::{SourceKind, UserAssigned};

/// Why a source cannot be created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSource {
    /// An environment variable is unset or empty. A likely cause: this machine does not belong to
    /// the source's platform.
    #[error("the source {kind} needs the environment variable {variable}, which the platform sets")]
    MissingVariable {
        /// The source.
        kind: SourceKind,
        /// The variable.
        variable: &'static str,
    },
    /// The source has no user-assigned identities, or none that are named in this form.
    #[error("the source {kind} has no token for the identity with {identity}")]
    NoUserAssigned {
        /// The source.
        kind: SourceKind,
        /// The requested identity.
        identity: UserAssigned,
    },
    /// The endpoint's URL is invalid.
    #[error("{endpoint:?} is not a valid endpoint for the source {kind}: expected {expected}")]
    Endpoint {
        /// The source.
        kind: SourceKind,
        /// The URL.
        endpoint: String,
        /// A valid one.
        expected: &'static str,
    },
    /// A value is invalid. The message does not contain it, since it may be a secret.
    #[error("the {name} of the source {kind} is invalid: expected {expected}")]
    Value {
        /// The source.
        kind: SourceKind,
        /// The value's name.
        name: &'static str,
        /// What is valid.
        expected: &'static str,
    },
    /// The platform is known, but not supported.
    #[error("this machine looks like {platform}, whose identities are not supported")]
    Unsupported {
        /// The platform.
        platform: &'static str,
    },
}

impl InvalidSource {
    pub(super) fn endpoint(kind: SourceKind, url: &str, expected: &'static str) -> Self {
        Self::Endpoint { kind, endpoint: url.chars().take(200).collect(), expected }
    }

    /// What to do about the error.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::MissingVariable { .. } => Some(
                "On a machine of another platform, configure another source, or source = \"auto\"",
            ),
            Self::NoUserAssigned { kind, .. } => user_assigned_help(*kind),
            Self::Endpoint { .. } | Self::Value { .. } => None,
            Self::Unsupported { .. } => Some("Configure a source instead of \"auto\""),
        }
    }

    /// The message followed by the help, for readers who get a single text.
    #[must_use]
    pub fn message_and_help(&self) -> String {
        match self.help() {
            Some(help) => format!("{self}. {help}"),
            None => self.to_string(),
        }
    }
}

fn user_assigned_help(kind: SourceKind) -> Option<&'static str> {
    match kind {
        SourceKind::Arc => Some("A server of Azure Arc has only its system-assigned identity"),
        SourceKind::ServiceFabric => {
            Some("Service Fabric assigns an application its identity when it is deployed")
        }
        SourceKind::CloudShell => Some("Its tokens are for the signed-in user"),
        SourceKind::WorkloadIdentity => Some("Use client_id"),
        SourceKind::AzureCli => Some("Its tokens are for the user who ran `az login`"),
        SourceKind::Imds | SourceKind::AppService => None,
    }
}

/// Checks that a source has tokens for an identity that is named in this form.
pub(super) fn check(
    kind: SourceKind,
    identity: Option<&UserAssigned>,
) -> Result<(), InvalidSource> {
    match identity {
        Some(identity) if !kind.takes(identity) => {
            Err(InvalidSource::NoUserAssigned { kind, identity: identity.clone() })
        }
        Some(_) | None => Ok(()),
    }
}
