//! Requests that a server rejects before any mount sees them: malformed ones, those for another
//! host, those of web pages.

use http::StatusCode;

use crate::audit::{Outcome, Record};
use crate::error::CallError;
use keyward_policy::caller::Caller;

/// The longest method, mount's name and path in the record of a rejected request, in characters.
const LONGEST: [usize; 3] = [32, 100, 2000];

/// Why a server rejects a request. [`Broker::reject`](crate::Broker::reject)
/// makes the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The status of the response.
    pub status: StatusCode,
    /// The problem's type, which becomes `urn:keyward:problem:<kind>`.
    pub kind: &'static str,
    /// The problem in a few words, which are the same each time.
    pub title: &'static str,
    /// The rule, for the audit.
    pub rule: &'static str,
    /// Whether a rule denies the request, or it is malformed.
    pub outcome: Outcome,
    /// What happened, and what to do about it.
    pub detail: String,
}

impl Rejection {
    /// A request that a rule denies.
    #[must_use]
    pub fn denied(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        rule: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self { status, kind, title, rule, outcome: Outcome::Denied, detail: detail.into() }
    }

    /// A request that is malformed, or cannot be served.
    #[must_use]
    pub fn failed(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self { status, kind, title, rule: kind, outcome: Outcome::Failed, detail: detail.into() }
    }

    /// A malformed request: status 400.
    #[must_use]
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::failed(StatusCode::BAD_REQUEST, "bad-request", "Invalid request", detail)
    }

    /// The same, with another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

/// A rejected request, for the audit.
#[derive(Clone, Copy, Debug, Default)]
pub struct RejectedRequest<'a> {
    /// The method, where it could be parsed.
    pub method: &'a str,
    /// The mount that the path names, or what is in its place.
    pub mount: &'a str,
    /// The path behind the mount's name, without its query.
    pub path: &'a str,
}

impl Rejection {
    /// The audit record of a request that has no call.
    pub(crate) fn record(&self, id: &str, caller: &Caller, request: RejectedRequest<'_>) -> Record {
        let [method, mount, path] = LONGEST;
        let first = |text: &str, length| text.chars().take(length).collect::<String>();
        Record {
            mount: first(request.mount, mount),
            method: first(request.method, method),
            path: first(request.path, path),
            outcome: self.outcome,
            status: Some(self.status.as_u16()),
            rule: Some(self.rule),
            problem: Some(self.detail.clone()),
            ..Record::of(id.to_owned(), caller.to_string(), "".into())
        }
    }
}

impl From<&CallError> for Rejection {
    fn from(error: &CallError) -> Self {
        Self {
            status: error.status(),
            kind: error.kind(),
            title: error.title(),
            rule: error.rule(),
            outcome: error.outcome(),
            detail: error.detail(),
        }
    }
}
