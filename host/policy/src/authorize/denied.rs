//! Why a request may not leave.

use http::Method;

use super::signature::SignatureRule;
use super::violation::Violation;
use crate::endpoint::Endpoint;
use crate::grant::{Grant, NotCovered};
use crate::path::NormalPath;

/// Why a request may not leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It breaks a rule of the boundary.
    Violation(Violation),
    /// No grant covers it.
    NotCovered(Box<DeniedRequest<NotCovered>>),
    /// It would mint a credential that does not leave, or give rights away.
    Minting(Box<DeniedRequest<MintingRule>>),
}

/// A request that is well-formed, and that a grant does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedRequest<W> {
    /// The audience's name, where it is not the plugin's first.
    pub audience: Option<String>,
    /// The method.
    pub method: Method,
    /// The path behind the endpoint.
    pub path: NormalPath,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The reason.
    pub why: W,
}

impl<W> DeniedRequest<W> {
    /// A request to a path behind the endpoint of `grant`, which denies it.
    #[must_use]
    pub fn new(grant: &Grant, method: &Method, path: &NormalPath, why: W) -> Box<Self> {
        Box::new(Self {
            audience: (!grant.is_first).then(|| grant.name.to_string()),
            method: method.clone(),
            path: path.clone(),
            endpoint: grant.endpoint.clone(),
            why,
        })
    }
}

/// Why a request may not leave that mints a credential or gives rights away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MintingRule {
    /// The response is a credential, and the mount does not hand it out.
    NotHandedOut(&'static str),
    /// The request carries others in its body, and the grant is narrowed.
    Carrier,
    /// An action that is not known to be harmless, and that no pattern names.
    UnknownAction(String),
    /// A write that gives rights away, and that no pattern names.
    Privileged(String),
    /// The signature that is asked for covers more than the mount's storage grant.
    Signature(SignatureRule),
}

impl MintingRule {
    /// A short name of the rule, for the audit.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        match self {
            Self::NotHandedOut(_) => "hand-out",
            Self::Carrier => "batch",
            Self::UnknownAction(_) => "action",
            Self::Privileged(_) => "privileged",
            Self::Signature(_) => "signature",
        }
    }
}

impl<V: Into<Violation>> From<V> for Denied {
    fn from(violation: V) -> Self {
        Self::Violation(violation.into())
    }
}
