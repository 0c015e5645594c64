//! Why there is no token, and what to do about it.

use std::time::Duration;

use http::Uri;

use crate::source::SourceKind;
use crate::{Audience, InvalidToken};

/// Why there is no token.
///
/// The messages say what to do, in the words of the platform's guidance. None of them ever holds a token, a part of one,
/// or the text of an answer that should have held one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The endpoint does not know the identity.
    #[error(
        "the machine has no such identity ({said}). Assign the managed identity to this machine (Identity, in the \
         machine's settings), or correct client_id, object_id or resource_id in the configuration"
    )]
    IdentityNotFound {
        /// What the endpoint said.
        said: String,
    },
    /// The machine has several identities, and the request names none.
    #[error(
        "the machine has several user-assigned identities and no system-assigned one ({said}). Say which: set client_id, \
         object_id or resource_id of this identity in the configuration"
    )]
    SeveralIdentities {
        /// What the endpoint said.
        said: String,
    },
    /// The directory does not know the resource.
    #[error(
        "the directory does not know the resource {audience} ({said}). An audience is an exact string, the slash at its end \
         included; compare it with what the service documents for this cloud"
    )]
    ResourceUnknown {
        /// The audience.
        audience: Audience,
        /// What the endpoint said.
        said: String,
    },
    /// No connection to the endpoint.
    #[error("no identity endpoint answers at {endpoint} ({said}). {}", unreachable_help(*kind, endpoint))]
    Unreachable {
        /// The source whose endpoint it is.
        kind: SourceKind,
        /// The endpoint.
        endpoint: String,
        /// Why not.
        said: String,
    },
    /// What answers there is not Azure's.
    #[error(
        "this machine has no managed identity: what answers at {endpoint} is not Azure's ({said}). Elsewhere than on \
         Azure, configure another source, such as \"arc\", \"workload-identity\" or, on a developer's machine, \
         \"azure-cli\""
    )]
    NotManagedIdentityMachine {
        /// The endpoint.
        endpoint: String,
        /// What it said.
        said: String,
    },
    /// The endpoint answered for another identity than the one that was asked for.
    #[error(
        "the identity endpoint was asked for the identity with {asked} and answered for {answered}. Assign the managed \
         identity to this machine, or correct client_id, object_id or resource_id in the configuration"
    )]
    WrongIdentity {
        /// Whom it was asked for.
        asked: String,
        /// Whom it answered for.
        answered: String,
    },
    /// The endpoint's certificate is not trusted.
    #[error("nothing was sent to {endpoint}, whose certificate is not trusted ({said}). {}", untrusted_help(*kind))]
    Untrusted {
        /// The source whose endpoint it is.
        kind: SourceKind,
        /// The endpoint.
        endpoint: String,
        /// What is wrong.
        said: String,
    },
    /// A file that the source needs is not as it should be.
    #[error("the identity source cannot use the file {path} ({said})")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it, and what to do.
        said: String,
    },
    /// A command that the source needs gave no token.
    #[error("`{command}` returned no token ({said}). Install the Azure CLI if it is missing, and run `az login`")]
    Command {
        /// The command.
        command: String,
        /// What it said.
        said: String,
    },
    /// The endpoint refuses.
    #[error(
        "the identity endpoint refuses with status {status} ({said}). It is not asked again, since that would change \
         nothing: one of the request's parameters is wrong, or the identity may not have such a token"
    )]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the endpoint said.
        said: String,
    },
    /// The endpoint asks for patience.
    #[error("the identity endpoint is busy and asks to wait {} s", retry_after.as_secs())]
    Throttled {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The endpoint fails, time after time.
    #[error("the identity endpoint fails ({said}). It usually recovers within a minute or two; this is tried again")]
    Unavailable {
        /// What the endpoint said last.
        said: String,
    },
    /// The answer is no token answer.
    #[error("the identity endpoint's response is invalid: {what}. Another program may be answering in its place")]
    Malformed {
        /// What is wrong with it.
        what: String,
    },
    /// The answer's token has ended already.
    #[error(
        "the identity endpoint returned a token that expired {seconds_ago} s ago by this machine's clock. Check the clock (timedatectl)"
    )]
    Expired {
        /// How long ago.
        seconds_ago: u64,
    },
}

fn unreachable_help(kind: SourceKind, endpoint: &str) -> String {
    match kind {
        SourceKind::Imds => "On an Azure virtual machine, check that the machine has a managed identity and that no \
                             firewall or route keeps 169.254.169.254 from the broker; elsewhere, configure another source"
            .to_owned(),
        SourceKind::WorkloadIdentity => {
            let uri: Uri = endpoint.parse().unwrap_or_default();
            let (host, port) = (uri.host().unwrap_or("HOST").to_ascii_lowercase(), uri.port_u16().unwrap_or(443));
            format!(
                "Check AZURE_AUTHORITY_HOST, and that the network and its firewalls let the broker reach {host}; where \
                 DNS has no address of it, add one: [egress.resolve] \"{host}:{port}\" = \"ADDRESS:{port}\""
            )
        }
        SourceKind::AppService | SourceKind::ServiceFabric => {
            "Check IDENTITY_ENDPOINT, and that an identity is assigned to this application".to_owned()
        }
        SourceKind::Arc => "Check that the Azure Arc agent runs (azcmagent check), and IDENTITY_ENDPOINT".to_owned(),
        SourceKind::CloudShell => "Check MSI_ENDPOINT".to_owned(),
        SourceKind::AzureCli => "Run `az login`".to_owned(),
    }
}

fn untrusted_help(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::ServiceFabric => "Its certificate must have the thumbprint in IDENTITY_SERVER_THUMBPRINT",
        SourceKind::Imds
        | SourceKind::AppService
        | SourceKind::Arc
        | SourceKind::CloudShell
        | SourceKind::WorkloadIdentity
        | SourceKind::AzureCli => {
            "If its certificate is signed by an authority of your own, trust that authority: [tls] ca_files = [\"FILE\"]"
        }
    }
}

impl From<InvalidToken> for TokenError {
    fn from(error: InvalidToken) -> Self {
        Self::Malformed { what: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_says_what_to_do() {
        let said = || "status 400".to_owned();
        let (endpoint, audience) = ("http://x".to_owned(), Audience::new("a").unwrap());
        let authority = || "https://Login.contoso.example/t/oauth2/v2.0/token".to_owned();
        let unreachable =
            |kind, endpoint: &str| TokenError::Unreachable { kind, endpoint: endpoint.to_owned(), said: said() };
        let untrusted = |kind| TokenError::Untrusted { kind, endpoint: authority(), said: said() };
        for (error, what) in [
            (TokenError::IdentityNotFound { said: said() }, "Assign the managed identity to this machine"),
            (TokenError::SeveralIdentities { said: said() }, "set client_id"),
            (TokenError::ResourceUnknown { audience, said: said() }, "compare it with what the service documents"),
            (unreachable(SourceKind::Imds, "http://x"), "check that the machine has a managed"),
            (unreachable(SourceKind::AppService, "http://x"), "Check IDENTITY_ENDPOINT"),
            (unreachable(SourceKind::ServiceFabric, "https://x"), "Check IDENTITY_ENDPOINT"),
            (unreachable(SourceKind::Arc, "http://x"), "azcmagent"),
            (unreachable(SourceKind::CloudShell, "http://x"), "Check MSI_ENDPOINT"),
            (
                unreachable(SourceKind::WorkloadIdentity, &authority()),
                "[egress.resolve] \"login.contoso.example:443\" = \"ADDRESS:443\"",
            ),
            (
                unreachable(SourceKind::WorkloadIdentity, "https://login.contoso.example:8443/t/oauth2/v2.0/token"),
                "[egress.resolve] \"login.contoso.example:8443\" = \"ADDRESS:8443\"",
            ),
            (TokenError::NotManagedIdentityMachine { endpoint, said: said() }, "configure another source"),
            (TokenError::WrongIdentity { asked: said(), answered: said() }, "correct client_id"),
            (untrusted(SourceKind::ServiceFabric), "IDENTITY_SERVER_THUMBPRINT"),
            (untrusted(SourceKind::WorkloadIdentity), "[tls] ca_files = [\"FILE\"]"),
            (TokenError::Command { command: said(), said: said() }, "run `az login`"),
            (TokenError::Refused { status: 400, said: said() }, "one of the request's parameters is wrong"),
            (TokenError::Throttled { retry_after: Duration::from_secs(7) }, "asks to wait 7 s"),
            (TokenError::Unavailable { said: said() }, "this is tried again"),
            (TokenError::Malformed { what: said() }, "Another program may be answering"),
            (TokenError::Expired { seconds_ago: 1 }, "Check the clock"),
        ] {
            assert!(error.to_string().contains(what), "{error}");
        }
    }

    #[test]
    fn only_messages_about_imds_name_its_address() {
        for kind in SourceKind::ALL {
            let (endpoint, said) = ("https://login.contoso.example/t".to_owned(), "x".to_owned());
            let unreachable = TokenError::Unreachable { kind, endpoint: endpoint.clone(), said: said.clone() };
            let is_imds = kind == SourceKind::Imds;
            assert_eq!(unreachable.to_string().contains("169.254"), is_imds, "{unreachable}");
            let untrusted = TokenError::Untrusted { kind, endpoint, said };
            assert!(!untrusted.to_string().contains("169.254"), "{untrusted}");
        }
    }
}
