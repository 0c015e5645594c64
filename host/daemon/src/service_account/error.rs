//! Why a token was rejected, or the issuer's keys are not known.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use keyward::identity::source::{DocumentError, InvalidCertificates};

/// A token that does not prove who the caller is.
///
/// No message contains any part of the token, not even a claim: it goes to a caller that has proved
/// nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// It is longer than a token may be. Nothing else was looked at.
    #[error("the service account token is longer than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// It is not a signed JWT. A likely cause: the header field has something else in it, such as
    /// a file's name, or line breaks within the token.
    #[error("the service account token is malformed: {part}")]
    Malformed {
        /// What is wrong.
        part: &'static str,
    },
    /// The header has other members than `alg`, `kid` and `typ`, which API servers do not write. A
    /// likely cause: the token was not issued by a cluster.
    #[error("the header of the service account token has members besides `alg`, `kid` and `typ`")]
    HeaderMember,
    /// The header's `alg` is not accepted. `none` and the ones with shared secrets never are.
    #[error(
        "the algorithm of the service account token is not accepted: expected RS256, RS384, RS512, \
         ES256 or ES384"
    )]
    Algorithm,
    /// None of the issuer's keys has this `kid`. Likely causes: the token is from another cluster,
    /// or the issuer's key has just been rotated.
    #[error("the service account token is signed with a key that the issuer does not have")]
    UnknownKey,
    /// The key is of another type than the algorithm needs.
    #[error("the algorithm of the service account token does not fit the issuer's key")]
    WrongKeyType,
    /// The signature is not the key's.
    #[error("the signature of the service account token is invalid")]
    Signature,
    /// The claims are not those of a projected token. A likely cause: the token is a long-lived one
    /// from a secret, which has no expiry.
    #[error("the claims of the service account token are incomplete or malformed")]
    Claims,
    /// It is from another issuer.
    #[error("the service account token is not from the issuer {expected}")]
    WrongIssuer {
        /// The configured issuer.
        expected: String,
    },
    /// It is for another audience.
    #[error("the service account token is not for the audience {expected}")]
    WrongAudience {
        /// The configured audience.
        expected: String,
    },
    /// It has expired.
    #[error("the service account token has expired")]
    Expired,
    /// Its `nbf` or `iat` is in the future.
    #[error("the service account token is not valid yet by this machine's clock")]
    NotYetValid,
    /// It has no claim `kubernetes.io`, or that names no service account.
    #[error("the token does not name a Kubernetes service account")]
    NoServiceAccount,
    /// A name in it is not one that Kubernetes permits.
    #[error("the service account token has an invalid name: {of}")]
    InvalidName {
        /// Which name.
        of: &'static str,
    },
    /// `sub` and `kubernetes.io` name different service accounts.
    #[error("the subject of the service account token is another one than its claims name")]
    SubjectMismatch,
    /// The issuer's keys are not known, so no token can be verified. This is not the caller's
    /// fault, and passes when the keys can be fetched.
    #[error("service account tokens cannot be verified: the issuer's keys are not known")]
    KeysUnavailable(#[source] Arc<KeysError>),
}

impl TokenError {
    /// What to do about it.
    pub(crate) fn help(&self) -> &'static str {
        match self {
            Self::TooLong { .. } | Self::Malformed { .. } => {
                "Send the contents of the projected volume's token file, and nothing else"
            }
            Self::HeaderMember
            | Self::Algorithm
            | Self::WrongKeyType
            | Self::Signature
            | Self::InvalidName { .. }
            | Self::SubjectMismatch
            | Self::NoServiceAccount => {
                "Send a token that the cluster's API server issued for a service account"
            }
            Self::UnknownKey => {
                "Check that the token is from the configured issuer's cluster. If that has just \
                 rotated its keys, retry in some seconds"
            }
            Self::Claims => {
                "Use a projected volume of the kind `serviceAccountToken`; tokens from secrets do \
                 not expire, and are not accepted"
            }
            Self::WrongIssuer { .. } => {
                "Compare the configured issuer with the `issuer` that `kubectl get --raw \
                 /.well-known/openid-configuration` prints"
            }
            Self::WrongAudience { .. } => {
                "Set `audience` of the projected volume; the token that Kubernetes mounts by \
                 default is for the API server"
            }
            Self::Expired => {
                "Read the token's file for each call: the kubelet replaces it before it expires"
            }
            Self::NotYetValid => "Check the clocks of this machine and of the API server",
            Self::KeysUnavailable(error) => error.help(),
        }
    }
}

/// Why the issuer's keys could not be fetched. Messages contain no credential.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Other users can change or replace a file that decides whose tokens are accepted.
    #[error("{found}")]
    Unprotected {
        /// Who, and which file.
        found: String,
    },
    /// A file or document is longer than keys can be.
    #[error("{name} is longer than {limit} bytes")]
    TooLong {
        /// The file.
        name: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The file with the authorities' certificates cannot be used.
    #[error("cannot use the certificates in {}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: InvalidCertificates,
    },
    /// The file with the broker's own token does not contain one.
    #[error("{} does not contain a token", path.display())]
    OwnToken {
        /// The file.
        path: PathBuf,
    },
    /// A request failed.
    #[error("cannot fetch {url}")]
    Request {
        /// The URL.
        url: String,
        /// Why.
        source: DocumentError,
    },
    /// The discovery document is malformed, or for another issuer.
    #[error("{url} is not the OpenID configuration of the issuer {issuer}: {reason}")]
    Discovery {
        /// The document's URL.
        url: String,
        /// The configured issuer.
        issuer: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The discovery document names keys at another host.
    #[error("{url} names keys that are not at https://{host}:{port}")]
    ElsewhereKeys {
        /// The document's URL.
        url: String,
        /// The issuer's host.
        host: String,
        /// The issuer's port.
        port: u16,
    },
    /// The keys are not a JSON Web Key Set.
    #[error("the keys are not a JSON Web Key Set (line {line}, column {column})")]
    NotKeySet {
        /// Where the error is.
        line: usize,
        /// Where the error is.
        column: usize,
    },
    /// Two different keys have the same `kid`.
    #[error("two keys of the issuer have the same `kid`")]
    AmbiguousKeys,
    /// No key can be used.
    #[error("none of the issuer's {keys} keys can be used{}", first_reason(*reason))]
    NoUsableKey {
        /// How many keys there are.
        keys: usize,
        /// Why the first one cannot be used.
        reason: Option<&'static str>,
    },
    /// The program is shutting down.
    #[error("fetching the keys was interrupted")]
    Interrupted,
}

fn first_reason(reason: Option<&'static str>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

impl KeysError {
    /// What to do about it.
    pub(crate) fn help(&self) -> &'static str {
        match self {
            Self::File { .. } => "Check the path and the permissions of the file",
            Self::Unprotected { .. } => {
                "Let only root and the broker's user change or replace the file: chmod go-w"
            }
            Self::TooLong { .. } | Self::NotKeySet { .. } => {
                "Expected the output of `kubectl get --raw /openid/v1/jwks`"
            }
            Self::Certificates { .. } => {
                "Expected certificates in PEM, such as \
                 /var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
            }
            Self::OwnToken { .. } => {
                "Expected a service account token, such as \
                 /var/run/secrets/kubernetes.io/serviceaccount/token"
            }
            Self::Request { source, .. } => match source {
                DocumentError::Untrusted { .. } => {
                    "Name the file of the cluster's authority, such as \
                     /var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
                }
                DocumentError::Status { status } if matches!(status.as_u16(), 401 | 403) => {
                    "Name a token file, or bind the ClusterRole \
                     system:service-account-issuer-discovery to the broker's service account"
                }
                DocumentError::InvalidRequest
                | DocumentError::Unreachable { .. }
                | DocumentError::Broken { .. }
                | DocumentError::Status { .. } => {
                    "Check the URL, and that the network lets the broker reach it; it tries again \
                     with the next call after some seconds"
                }
            },
            Self::Discovery { .. } => {
                "Compare the configured issuer, which is an exact string, with the `issuer` that \
                 `kubectl get --raw /.well-known/openid-configuration` prints"
            }
            Self::ElsewhereKeys { .. } => {
                "Configure the URL of the keys, if they are at the place where they should be; \
                 within the cluster it is https://kubernetes.default.svc/openid/v1/jwks"
            }
            Self::AmbiguousKeys => "Remove the older of the two keys",
            Self::NoUsableKey { .. } => {
                "Expected keys for signatures: RSA with 2048 to 8192 bits, P-256 or P-384"
            }
            Self::Interrupted => "Retry",
        }
    }
}
