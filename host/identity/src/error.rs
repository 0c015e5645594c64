//! Errors of token requests, with their remedies.

use std::borrow::Cow;
use std::time::Duration;

use http::Uri;
use keyward_types::{Audience, SourceKind};

use crate::token::InvalidToken;

/// The error of a token request.
///
/// The message says what happened, and [`help`](Self::help) what to do about it. Neither ever
/// contains a token or a part of one, nor any text of a response that should have contained one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The endpoint does not know the identity. Likely causes: the managed identity is not assigned
    /// to the machine, or its id is misspelled.
    #[error("the machine does not have this identity ({message})")]
    IdentityNotFound {
        /// The endpoint's message.
        message: String,
    },
    /// The machine has several identities, and the request names none.
    #[error(
        "the machine has several user-assigned identities and no system-assigned one ({message})"
    )]
    SeveralIdentities {
        /// The endpoint's message.
        message: String,
    },
    /// The directory does not know the resource. A likely cause: the trailing slash of the audience
    /// is missing, or should not be there.
    #[error("the directory does not know the resource {audience} ({message})")]
    ResourceUnknown {
        /// The audience.
        audience: Audience,
        /// The endpoint's message.
        message: String,
    },
    /// There is no connection to the endpoint.
    #[error("cannot connect to the identity endpoint {endpoint} ({reason})")]
    Unreachable {
        /// The source of the endpoint.
        kind: SourceKind,
        /// The endpoint's URL.
        endpoint: String,
        /// What failed.
        reason: String,
    },
    /// The response is not from Azure. Likely causes: the machine belongs to another cloud, whose
    /// metadata service has the same address, or runs Docker Desktop.
    #[error(
        "this machine has no managed identity: the response from {endpoint} is not Azure's \
         ({message})"
    )]
    NoManagedIdentity {
        /// The endpoint's URL.
        endpoint: String,
        /// The response's message.
        message: String,
    },
    /// The endpoint returned a token for another identity than the requested one.
    #[error(
        "the identity endpoint returned a token for another identity: requested {requested}, \
         received {received}"
    )]
    WrongIdentity {
        /// The requested identity.
        requested: String,
        /// The id in the response.
        received: String,
    },
    /// The endpoint's certificate is not trusted.
    #[error("the certificate of {endpoint} is not trusted, so no request was sent ({reason})")]
    Untrusted {
        /// The source of the endpoint.
        kind: SourceKind,
        /// The endpoint's URL.
        endpoint: String,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// A file that the source needs cannot be used.
    #[error("the identity source cannot use the file {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
        /// What to do about it, if that is known.
        help: Option<&'static str>,
    },
    /// A command that the source runs returned no token.
    #[error("`{command}` returned no token ({reason})")]
    Command {
        /// The command.
        command: String,
        /// What failed, or the command's own message.
        reason: String,
    },
    /// The endpoint rejected the request. It is not repeated for this call; a later call may send
    /// another.
    #[error("the identity endpoint rejected the request with status {status} ({message})")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The endpoint's message.
        message: String,
    },
    /// The endpoint limits the rate of requests.
    #[error("the identity endpoint is busy: retry after {} s", retry_after.as_secs())]
    Throttled {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The endpoint failed, and so did all retries.
    #[error("the identity endpoint is unavailable ({reason})")]
    Unavailable {
        /// The last failure.
        reason: String,
    },
    /// The response is not a valid token response.
    #[error("the identity endpoint's response is invalid: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// The token in the response has expired.
    #[error(
        "the identity endpoint returned a token that expired {seconds_ago} s ago by this machine's \
         clock"
    )]
    Expired {
        /// How long ago it expired.
        seconds_ago: u64,
    },
}

impl TokenError {
    /// What to do about the error.
    #[must_use]
    pub fn help(&self) -> Option<Cow<'static, str>> {
        Some(match self {
            Self::IdentityNotFound { .. } => {
                "Assign the managed identity to this machine (Identity, in the machine's \
                 settings), or correct client_id, object_id or resource_id in the configuration"
                    .into()
            }
            Self::SeveralIdentities { .. } => {
                "Set client_id, object_id or resource_id of this identity in the configuration"
                    .into()
            }
            Self::ResourceUnknown { .. } => {
                "An audience is an exact string, including the trailing slash; compare it with \
                 what the service documents for this cloud"
                    .into()
            }
            Self::Unreachable { kind, endpoint, .. } => unreachable_help(*kind, endpoint),
            Self::NoManagedIdentity { .. } => {
                "Outside of Azure, configure another source, such as \"arc\", \
                 \"workload-identity\" or, on a developer's machine, \"azure-cli\""
                    .into()
            }
            Self::WrongIdentity { .. } => {
                "Assign the managed identity to this machine, or correct client_id, object_id or \
                 resource_id in the configuration"
                    .into()
            }
            Self::Untrusted { kind, .. } => untrusted_help(*kind).into(),
            Self::File { help, .. } => return help.map(Cow::Borrowed),
            Self::Command { .. } => {
                "Install the Azure CLI if it is missing, and run `az login`".into()
            }
            Self::Rejected { .. } => {
                "A parameter of the request is wrong, or the identity may not have a token for \
                 this audience; the next request is sent after a pause"
                    .into()
            }
            Self::Throttled { .. } => return None,
            Self::Unavailable { .. } => {
                "The endpoint usually recovers within a minute or two; the request is retried"
                    .into()
            }
            Self::Malformed { .. } => {
                "Another program may be listening at the endpoint's address".into()
            }
            Self::Expired { .. } => "Check the clock (timedatectl)".into(),
        })
    }

    /// The message followed by the help, for readers who get a single text.
    #[must_use]
    pub fn message_and_help(&self) -> String {
        match self.help() {
            Some(help) => format!("{self}. {help}"),
            None => self.to_string(),
        }
    }

    /// The delay that the endpoint requested; `None` except for [`TokenError::Throttled`].
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Throttled { retry_after } = self { Some(*retry_after) } else { None }
    }
}

fn unreachable_help(kind: SourceKind, endpoint: &str) -> Cow<'static, str> {
    match kind {
        SourceKind::Imds => "On an Azure virtual machine, check that the machine has a managed \
                             identity and that no firewall or route blocks 169.254.169.254 for \
                             the broker; elsewhere, configure another source"
            .into(),
        SourceKind::WorkloadIdentity => {
            let uri: Uri = endpoint.parse().unwrap_or_default();
            let host = uri.host().unwrap_or("HOST").to_ascii_lowercase();
            let port = uri.port_u16().unwrap_or(443);
            format!(
                "Check AZURE_AUTHORITY_HOST, and that the network and its firewalls let the broker \
                 reach {host}; where DNS has no address for it, add one: [egress.resolve] \
                 \"{host}:{port}\" = \"ADDRESS:{port}\""
            )
            .into()
        }
        SourceKind::AppService | SourceKind::ServiceFabric => {
            "Check IDENTITY_ENDPOINT, and that an identity is assigned to this application".into()
        }
        SourceKind::Arc => {
            "Check that the Azure Arc agent runs (azcmagent check), and IDENTITY_ENDPOINT".into()
        }
        SourceKind::CloudShell => "Check MSI_ENDPOINT".into(),
        SourceKind::AzureCli => "Run `az login`".into(),
    }
}

fn untrusted_help(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::ServiceFabric => {
            "The certificate must have the thumbprint in IDENTITY_SERVER_THUMBPRINT"
        }
        SourceKind::Imds
        | SourceKind::AppService
        | SourceKind::Arc
        | SourceKind::CloudShell
        | SourceKind::WorkloadIdentity
        | SourceKind::AzureCli => {
            "If an authority of your own signed the certificate, trust it: \
             [tls] ca_files = [\"FILE\"]"
        }
    }
}

impl From<InvalidToken> for TokenError {
    fn from(error: InvalidToken) -> Self {
        Self::Malformed { reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTHORITY: &str = "https://Login.contoso.example/t/oauth2/v2.0/token";

    fn text() -> String {
        "status 400".to_owned()
    }

    fn unreachable(kind: SourceKind, endpoint: &str) -> TokenError {
        TokenError::Unreachable { kind, endpoint: endpoint.to_owned(), reason: text() }
    }

    fn untrusted(kind: SourceKind) -> TokenError {
        TokenError::Untrusted { kind, endpoint: AUTHORITY.to_owned(), reason: text() }
    }

    #[test]
    fn errors_include_a_remedy() {
        let endpoint = "http://x".to_owned();
        let audience = Audience::new("a").unwrap();
        let file = |help| TokenError::File { path: "/f".to_owned(), reason: text(), help };
        for (error, help) in [
            (
                TokenError::IdentityNotFound { message: text() },
                "Assign the managed identity to this machine",
            ),
            (TokenError::SeveralIdentities { message: text() }, "Set client_id"),
            (
                TokenError::ResourceUnknown { audience, message: text() },
                "compare it with what the service documents",
            ),
            (unreachable(SourceKind::Imds, "http://x"), "check that the machine has a managed"),
            (unreachable(SourceKind::AppService, "http://x"), "Check IDENTITY_ENDPOINT"),
            (unreachable(SourceKind::ServiceFabric, "https://x"), "Check IDENTITY_ENDPOINT"),
            (unreachable(SourceKind::Arc, "http://x"), "azcmagent"),
            (unreachable(SourceKind::CloudShell, "http://x"), "Check MSI_ENDPOINT"),
            (
                unreachable(SourceKind::WorkloadIdentity, AUTHORITY),
                "[egress.resolve] \"login.contoso.example:443\" = \"ADDRESS:443\"",
            ),
            (
                unreachable(SourceKind::WorkloadIdentity, "https://login.contoso.example:8443/t"),
                "[egress.resolve] \"login.contoso.example:8443\" = \"ADDRESS:8443\"",
            ),
            (
                TokenError::NoManagedIdentity { endpoint, message: text() },
                "configure another source",
            ),
            (
                TokenError::WrongIdentity { requested: text(), received: text() },
                "correct client_id",
            ),
            (untrusted(SourceKind::ServiceFabric), "IDENTITY_SERVER_THUMBPRINT"),
            (untrusted(SourceKind::WorkloadIdentity), "[tls] ca_files = [\"FILE\"]"),
            (file(Some("Label the pod")), "Label the pod"),
            (TokenError::Command { command: text(), reason: text() }, "run `az login`"),
            (
                TokenError::Rejected { status: 400, message: text() },
                "A parameter of the request is wrong",
            ),
            (TokenError::Unavailable { reason: text() }, "the request is retried"),
            (TokenError::Malformed { reason: text() }, "Another program may be listening"),
            (TokenError::Expired { seconds_ago: 1 }, "Check the clock"),
        ] {
            let found = error.help().unwrap();
            assert!(found.contains(help), "{found}");
            assert_eq!(error.message_and_help(), format!("{error}. {found}"));
        }
        assert_eq!(file(None).help(), None);
        let throttled = TokenError::Throttled { retry_after: Duration::from_secs(7) };
        assert_eq!(throttled.message_and_help(), throttled.to_string());
        assert!(throttled.to_string().ends_with("retry after 7 s"), "{throttled}");
    }

    #[test]
    fn only_advice_about_imds_contains_its_address() {
        for kind in SourceKind::ALL {
            let unreachable = unreachable(kind, AUTHORITY).message_and_help();
            let is_imds = kind == SourceKind::Imds;
            assert_eq!(unreachable.contains("169.254"), is_imds, "{unreachable}");
            let untrusted = untrusted(kind).message_and_help();
            assert!(!untrusted.contains("169.254"), "{untrusted}");
        }
    }
}
