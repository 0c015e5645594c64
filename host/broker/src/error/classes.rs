//! What an error of a call is for callers and for the audit: its status, kind, title, rule and
//! outcome.

use std::time::Duration;

use http::StatusCode;
use keyward_policy::authorize::Violation;
use keyward_policy::grant::NotCovered;

use super::{CallError, Limit};
use crate::audit::Outcome;

impl CallError {
    /// The status that the caller gets. What is the caller's own doing is 4xx; a plugin that does
    /// what it must not is a bad gateway.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::UnknownMount { .. } => StatusCode::NOT_FOUND,
            Self::Caller { violation, .. } if is_denial(violation) => StatusCode::FORBIDDEN,
            Self::BadRequest { .. }
            | Self::IncompleteBody
            | Self::Override { .. }
            | Self::Caller { .. } => StatusCode::BAD_REQUEST,
            Self::HeaderFieldsTooLarge { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Busy { .. }
            | Self::Waited { .. }
            | Self::RateLimited { .. }
            | Self::CallerBusy { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::SlowBody { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::CallerDenied(_)
            | Self::Locked { .. }
            | Self::NotAllowed(_)
            | Self::Minting(_)
            | Self::Redirect(_)
            | Self::ExportOff { .. } => StatusCode::FORBIDDEN,
            Self::Limit { limit: Limit::IdleTime(_) | Limit::WallTime(_), .. } => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::Violation { .. }
            | Self::ForbiddenAddress { .. }
            | Self::Limit { .. }
            | Self::Trapped { .. }
            | Self::Truncated { .. }
            | Self::Unsealable { .. }
            | Self::Unsearchable { .. }
            | Self::TokenEchoed { .. }
            | Self::NoResponse { .. } => StatusCode::BAD_GATEWAY,
            Self::Stopping { .. } | Self::CutOff { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotStarted { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// When the caller may try again, where it is a matter of time.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => Some(*retry_after),
            Self::Busy { .. }
            | Self::Waited { .. }
            | Self::CallerBusy { .. }
            | Self::Stopping { .. } => Some(Duration::from_secs(1)),
            Self::UnknownMount { .. }
            | Self::BadRequest { .. }
            | Self::IncompleteBody
            | Self::HeaderFieldsTooLarge { .. }
            | Self::Override { .. }
            | Self::CallerDenied(_)
            | Self::Locked { .. }
            | Self::CutOff { .. }
            | Self::SlowBody { .. }
            | Self::NotAllowed(_)
            | Self::Minting(_)
            | Self::Redirect(_)
            | Self::Violation { .. }
            | Self::Caller { .. }
            | Self::ForbiddenAddress { .. }
            | Self::Limit { .. }
            | Self::Trapped { .. }
            | Self::NoResponse { .. }
            | Self::Unsealable { .. }
            | Self::Unsearchable { .. }
            | Self::TokenEchoed { .. }
            | Self::ExportOff { .. }
            | Self::Truncated { .. }
            | Self::NotStarted { .. } => None,
        }
    }

    /// The problem's type, which becomes `urn:keyward:problem:<kind>`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind_and_title().0
    }

    /// What it is, in a few words that are the same each time.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.kind_and_title().1
    }

    fn kind_and_title(&self) -> (&'static str, &'static str) {
        match self {
            Self::UnknownMount { .. } => ("unknown-mount", "Unknown mount"),
            Self::Caller { violation, .. } if is_denial(violation) => {
                ("not-allowed", "Not allowed")
            }
            Self::BadRequest { .. }
            | Self::IncompleteBody
            | Self::HeaderFieldsTooLarge { .. }
            | Self::Override { .. }
            | Self::Caller { .. } => ("bad-request", "Invalid request"),
            Self::CallerDenied(_) => ("caller", "The mount does not serve this caller"),
            Self::Locked { .. } => ("locked", "Locked"),
            Self::RateLimited { .. } => ("rate", "Too many calls"),
            Self::Busy { .. } | Self::Waited { .. } | Self::CallerBusy { .. } => {
                ("busy", "The mount is busy")
            }
            Self::Stopping { .. } => ("stopping", "The broker is stopping"),
            Self::CutOff { .. } => ("cut-off", "The call did not end in time"),
            Self::SlowBody { .. } => ("slow-body", "The request body came too slowly"),
            Self::NotAllowed(_) => ("not-allowed", "Not allowed"),
            Self::Minting(_) => ("minting", "Minting a credential is not allowed"),
            Self::Redirect(_) => ("redirect", "The mount may not follow the redirect"),
            Self::Violation { .. } => ("plugin-misuse", "Request blocked"),
            Self::ForbiddenAddress { .. } => ("forbidden-address", "Forbidden address"),
            Self::Limit { .. } => ("limit", "Limit exceeded"),
            Self::Trapped { .. } => ("plugin-failed", "The plugin failed"),
            Self::Truncated { .. } => ("broken-off", "Response truncated"),
            Self::Unsealable { .. } => ("unsealable", "The response cannot be sealed"),
            Self::Unsearchable { .. } => {
                ("unsearchable", "The response cannot be checked for tokens")
            }
            Self::TokenEchoed { .. } => ("token-echoed", "The service sent a token back"),
            Self::ExportOff { .. } => ("sas-export-off", "Credentials are not handed out"),
            Self::NoResponse { .. } => ("no-answer", "No response from the plugin"),
            Self::NotStarted { .. } => ("not-started", "The plugin could not be started"),
        }
    }

    /// The rule or limit, for the audit.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        match self {
            Self::NotAllowed(not_allowed) => match &not_allowed.request.reason {
                NotCovered::NotAllowed | NotCovered::AmbiguousParameter(_) => "allow",
                NotCovered::NotAllowedForCaller(_) => "caller-allow",
                NotCovered::NotDeclared => "declared",
            },
            Self::CallerDenied(denied) => denied.rule.rule(),
            Self::CallerBusy { .. } => "caller-concurrency",
            Self::Minting(denied) => denied.request.reason.rule(),
            Self::Redirect(_) => "redirects",
            Self::Violation { violation, .. } | Self::Caller { violation, .. } => violation.rule(),
            Self::ForbiddenAddress { .. } => "address",
            Self::Override { .. } => "override",
            Self::Limit { limit, .. } => limit.key(),
            Self::HeaderFieldsTooLarge { .. } => "header_bytes",
            Self::UnknownMount { .. }
            | Self::BadRequest { .. }
            | Self::IncompleteBody
            | Self::Busy { .. }
            | Self::Waited { .. }
            | Self::RateLimited { .. }
            | Self::Locked { .. }
            | Self::Stopping { .. }
            | Self::CutOff { .. }
            | Self::SlowBody { .. }
            | Self::Trapped { .. }
            | Self::NoResponse { .. }
            | Self::Unsealable { .. }
            | Self::Unsearchable { .. }
            | Self::TokenEchoed { .. }
            | Self::ExportOff { .. }
            | Self::Truncated { .. }
            | Self::NotStarted { .. } => self.kind(),
        }
    }

    /// How the call ended, for the audit.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::CallerDenied(_)
            | Self::Locked { .. }
            | Self::RateLimited { .. }
            | Self::NotAllowed(_)
            | Self::Minting(_)
            | Self::Redirect(_)
            | Self::Violation { .. }
            | Self::Caller { .. }
            | Self::ForbiddenAddress { .. }
            | Self::Override { .. }
            | Self::ExportOff { .. } => Outcome::Denied,
            Self::IncompleteBody => Outcome::Abandoned,
            Self::UnknownMount { .. }
            | Self::BadRequest { .. }
            | Self::HeaderFieldsTooLarge { .. }
            | Self::Busy { .. }
            | Self::Waited { .. }
            | Self::CallerBusy { .. }
            | Self::Stopping { .. }
            | Self::CutOff { .. }
            | Self::SlowBody { .. }
            | Self::Limit { .. }
            | Self::Trapped { .. }
            | Self::NoResponse { .. }
            | Self::Unsealable { .. }
            | Self::Unsearchable { .. }
            | Self::TokenEchoed { .. }
            | Self::Truncated { .. }
            | Self::NotStarted { .. } => Outcome::Failed,
        }
    }
}

/// Whether a caller's request is well-formed, and not permitted.
fn is_denial(violation: &Violation) -> bool {
    matches!(violation, Violation::UncheckableReference(_) | Violation::ReferenceToOtherHost { .. })
}
