//! Reasons to deny a request.

use std::sync::Arc;

use http::Method;

use super::signature::SignatureRule;
use super::violation::Violation;
use crate::endpoint::Endpoint;
use crate::grant::{Grant, NotCovered};
use crate::path::NormalPath;
use crate::request_head::{AmbiguousParameter, RequestHead};

/// Why a request is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It breaks a rule of the boundary.
    Violation(Violation),
    /// No grant covers it.
    NotCovered(Box<DeniedRequest<NotCovered>>),
    /// It would mint a credential that the mount does not hand out, or give rights away.
    Minting(Box<DeniedRequest<MintingRule>>),
}

/// A well-formed request that a grant does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedRequest<R> {
    /// The audience's name; `None` for the plugin's first.
    pub audience: Option<String>,
    /// The method.
    pub method: Method,
    /// The path, without the endpoint's prefix.
    pub path: NormalPath,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// A line of `allow` that covers it.
    pub line: String,
    /// The caller whose own `allow` narrows the grant, by its name in the configuration.
    pub narrowed_for: Option<Arc<str>>,
    /// The reason.
    pub reason: R,
}

impl Denied {
    /// A request that `grant` does not cover, for a reason. `path` is without the endpoint's prefix.
    pub(super) fn not_covered(
        grant: &Grant,
        head: &RequestHead<'_>,
        path: &NormalPath,
        reason: NotCovered,
    ) -> Self {
        match reason {
            NotCovered::AmbiguousParameter(AmbiguousParameter(name)) => {
                Violation::AmbiguousParameter(name).into()
            }
            NotCovered::NotDeclared
            | NotCovered::NotAllowed
            | NotCovered::NotAllowedForCaller(_) => {
                Self::NotCovered(DeniedRequest::new(grant, head, path, reason))
            }
        }
    }
}

impl<R> DeniedRequest<R> {
    /// A request that `grant` denies. `path` is without the endpoint's prefix.
    #[must_use]
    pub fn new(grant: &Grant, head: &RequestHead<'_>, path: &NormalPath, reason: R) -> Box<Self> {
        Box::new(Self {
            audience: (!grant.is_first).then(|| grant.name.to_string()),
            method: head.method.clone(),
            path: path.clone(),
            endpoint: grant.endpoint.clone(),
            line: grant.line_for(head, path),
            narrowed_for: grant.for_caller.as_ref().map(|caller| Arc::clone(&caller.caller)),
            reason,
        })
    }
}

/// Why a request that mints a credential or gives rights away is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MintingRule {
    /// The response is a credential that the mount does not hand out.
    NotHandedOut(&'static str),
    /// The response is a credential that the mount hands out, but that is good for more than the
    /// caller of this name may do.
    BeyondCaller {
        /// The operation.
        operation: &'static str,
        /// The caller.
        caller: Arc<str>,
    },
    /// The request has other requests in its body, and the grant is narrowed.
    Batch,
    /// An action that is not known to be harmless and that no pattern of `allow` names.
    UnknownAction(String),
    /// A write that gives rights away and that no pattern of `allow` names.
    Privileged(String),
    /// The requested signature covers more than the mount's storage grant.
    Signature(SignatureRule),
}

impl MintingRule {
    /// Returns a short name of the rule, for the audit log.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        match self {
            Self::NotHandedOut(_) => "hand-out",
            Self::BeyondCaller { .. } => "hand-out-to-caller",
            Self::Batch => "batch",
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
