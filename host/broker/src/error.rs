//! Errors of calls, as callers and the audit see them.

mod classes;
mod help;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::denial::{MintingDenied, NotAllowed, RedirectDenied};
pub use crate::limit::Limit;
use crate::lock::LockTarget;
use crate::slow_body::SlowBody;
use keyward_policy::authorize::{Denied, Violation};
use keyward_policy::caller::Caller;
use keyward_policy::callers::CallerDenied;
use keyward_policy::config::Rate;
use keyward_policy::config::caller::OTHERS;
use keyward_policy::text::human_size;

/// Why a call that did not end within the grace time had to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CutOff {
    /// The broker stops.
    #[error("the broker stops, and the call did not end within the grace time")]
    Stopping,
    /// A reload changed or removed its mount.
    #[error("a reload replaced the mount, and the call did not end within the grace time")]
    Replaced,
}

/// Why a call ended without the plugin's response.
///
/// Its `Display` is the message; [`help`](Self::help) says what to do about it.
/// [`into_response`](Self::into_response) makes the response for the caller, as problem details
/// ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// There is no mount of that name.
    #[error("there is no mount `{name}`")]
    UnknownMount {
        /// The name that was requested.
        name: String,
        /// The names of the mounts.
        known: Vec<String>,
    },
    /// The caller's request is invalid.
    #[error("invalid request: {why}")]
    BadRequest {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The caller's body ended early: the caller went away, or closed its side of the connection.
    #[error("invalid request: its body ended before it was complete")]
    IncompleteBody,
    /// The caller's header fields are more than the plugin can pass on.
    #[error(
        "the header fields of the request are too large: mount `{mount}` passes on at most {}",
        human_size(*limit)
    )]
    HeaderFieldsTooLarge {
        /// The mount.
        mount: String,
        /// Its limit, in bytes with their overhead in memory.
        limit: u64,
    },
    /// The request has a header field that overrides its method or URL, which the mount's rules
    /// cannot check.
    #[error(
        "the header field `{field}` overrides a request's method or URL, which the rules of mount \
         `{mount}` cannot check"
    )]
    Override {
        /// The mount.
        mount: String,
        /// The caller whose own `allow` narrows the mount's, by its name.
        narrowed_for: Option<Arc<str>>,
        /// The field.
        field: &'static str,
    },
    /// The mount is at its concurrency limit, and its queue is full.
    #[error("mount `{mount}` is busy: {concurrency} calls are running and {queue} are waiting")]
    Busy {
        /// The mount.
        mount: String,
        /// Calls that run.
        concurrency: u32,
        /// Calls that wait.
        queue: u32,
    },
    /// The mount is at its concurrency limit, and no other call ended while this one waited.
    #[error(
        "mount `{mount}` is busy: {concurrency} calls are running, and none ended within {}",
        humantime::format_duration(*.waited)
    )]
    Waited {
        /// The mount.
        mount: String,
        /// Calls that run.
        concurrency: u32,
        /// How long it waited.
        waited: Duration,
    },
    /// The mount does not serve the caller, or this request of it.
    #[error(transparent)]
    CallerDenied(Box<CallerDenied>),
    /// A lock covers the call: see [`Broker::lock`](crate::Broker::lock).
    #[error("{}", match .target {
        LockTarget::All => "everything is locked".to_owned(),
        LockTarget::Mount(_) => format!("mount `{mount}` is locked"),
        LockTarget::Caller(name) if name == OTHERS => {
            format!("callers that no section [caller.NAME] matches are locked, such as {caller}")
        }
        LockTarget::Caller(name) => format!("the caller `{name}` ({caller}) is locked"),
        LockTarget::Identity(name) => format!("the identity `{name}` of mount `{mount}` is locked"),
    })]
    Locked {
        /// The mount.
        mount: String,
        /// The caller, as the broker saw it.
        caller: Caller,
        /// What is locked.
        target: LockTarget,
    },
    /// The caller began as many calls as its `rate` allows.
    #[error(
        "the caller `{name}` ({caller}) may begin at most {} at mount `{mount}`, and has begun them",
        rate.in_words()
    )]
    RateLimited {
        /// The mount.
        mount: String,
        /// The caller's name.
        name: Arc<str>,
        /// The caller, as the broker saw it.
        caller: Caller,
        /// The rate.
        rate: Rate,
        /// When it may begin another.
        retry_after: Duration,
    },
    /// As many calls of the caller run as may.
    #[error(
        "the caller `{name}` ({caller}) has {concurrency} calls running at mount `{mount}`, {}",
        match .waited {
            Some(waited) => format!(
                "and none ended within {}", humantime::format_duration(*waited)
            ),
            None => "and its share of the queue is full".to_owned(),
        }
    )]
    CallerBusy {
        /// The mount.
        mount: String,
        /// The caller's name.
        name: Arc<str>,
        /// The caller, as the broker saw it.
        caller: Caller,
        /// How many of its calls may run.
        concurrency: u32,
        /// How long it waited; `None` if too many calls of it wait.
        waited: Option<Duration>,
    },
    /// The broker is stopping, and refuses the call.
    #[error("mount `{mount}` does not accept calls: the broker is stopping")]
    Stopping {
        /// The mount.
        mount: String,
    },
    /// The call did not end within the grace time.
    #[error("the call to mount `{mount}` was cut off: {reason}")]
    CutOff {
        /// The mount.
        mount: String,
        /// Why it had to end.
        reason: CutOff,
    },
    /// The caller sends the body of its request too slowly.
    #[error("the request to mount `{mount}` was ended: {slow}")]
    SlowBody {
        /// The mount.
        mount: String,
        /// How slowly.
        slow: SlowBody,
    },
    /// No grant covers the plugin's request.
    #[error(transparent)]
    NotAllowed(Box<NotAllowed>),
    /// The plugin's request would mint a credential, or give rights away.
    #[error(transparent)]
    Minting(Box<MintingDenied>),
    /// The service redirects to an origin that the configuration does not name.
    #[error(transparent)]
    Redirect(Box<RedirectDenied>),
    /// The plugin's request breaks a rule of the boundary.
    #[error("the plugin of mount `{mount}` sent a request that is not permitted: {violation}")]
    Violation {
        /// The mount.
        mount: String,
        /// The caller whose own `allow` narrows the mount's, by its name.
        narrowed_for: Option<Arc<str>>,
        /// What it was.
        violation: Violation,
    },
    /// The caller's own request, which the plugin passed on, breaks a rule of the boundary.
    #[error("mount `{mount}` does not pass this request on: {violation}")]
    Caller {
        /// The mount.
        mount: String,
        /// The caller whose own `allow` narrows the mount's, by its name.
        narrowed_for: Option<Arc<str>>,
        /// What is wrong with it.
        violation: Violation,
    },
    /// The endpoint's name leads to an address that no request may go to.
    #[error("mount `{mount}` cannot reach its endpoint: {why}")]
    ForbiddenAddress {
        /// The mount.
        mount: String,
        /// Which name, and which address.
        why: String,
    },
    /// The call exceeded one of its limits.
    #[error("the plugin of mount `{mount}` {limit}")]
    Limit {
        /// The mount.
        mount: String,
        /// What it used.
        limit: Limit,
    },
    /// The plugin failed.
    #[error("the plugin of mount `{mount}` failed: {why}")]
    Trapped {
        /// The mount.
        mount: String,
        /// How.
        why: String,
    },
    /// The plugin ended without a response.
    #[error("the plugin of mount `{mount}` ended without a response")]
    NoResponse {
        /// The mount.
        mount: String,
    },
    /// A service's response contains a credential that cannot be sealed.
    #[error("a response to mount `{mount}` that contains a credential cannot be sealed: {why}")]
    Unsealable {
        /// The mount.
        mount: String,
        /// Why not.
        why: String,
    },
    /// A service's compressed response contains a token, or cannot be searched for one.
    #[error("a compressed response to mount `{mount}` was stopped: {why}")]
    Unsearchable {
        /// The mount.
        mount: String,
        /// Why.
        why: String,
    },
    /// A service sent back a part of an access token of the mount.
    #[error(
        "a response to mount `{mount}` was ended: the service sent a part of an access token back"
    )]
    TokenEchoed {
        /// The mount.
        mount: String,
    },
    /// The caller requests a credential that the configuration does not hand out.
    #[error("mount `{mount}` does not hand out credentials")]
    ExportOff {
        /// The mount.
        mount: String,
        /// The operation that would mint it, where the table has one.
        operation: Option<String>,
        /// The audience's name, where the mount does not grant it.
        audience: Option<String>,
    },
    /// The response is truncated: the service or the plugin broke it off.
    #[error("the response of mount `{mount}` is truncated: {why}")]
    Truncated {
        /// The mount.
        mount: String,
        /// How.
        why: String,
    },
    /// The plugin could not be started, because of the broker or the machine.
    #[error("the plugin of mount `{mount}` could not be started: {why}")]
    NotStarted {
        /// The mount.
        mount: String,
        /// Why not.
        why: String,
    },
}

impl CallError {
    pub(crate) fn limit(mount: &str, limit: Limit) -> Self {
        Self::Limit { mount: mount.to_owned(), limit }
    }

    pub(crate) fn forbidden_address(mount: &str, why: String) -> Self {
        Self::ForbiddenAddress { mount: mount.to_owned(), why }
    }

    /// The error of a request of the plugin's that is denied. `caller` is on whose behalf it would
    /// be sent, and `narrowed_for` its name if its own `allow` narrows the mount's.
    #[must_use]
    pub fn denied(
        mount: &str,
        caller: &Caller,
        narrowed_for: Option<Arc<str>>,
        denied: Denied,
    ) -> Self {
        let (mount, caller) = (mount.to_owned(), caller.clone());
        match denied {
            Denied::Violation(violation) => Self::Violation { mount, narrowed_for, violation },
            Denied::NotCovered(request) => {
                Self::NotAllowed(Box::new(NotAllowed { mount, caller, request: *request }))
            }
            Denied::Minting(request) => {
                Self::Minting(Box::new(MintingDenied { mount, caller, request: *request }))
            }
        }
    }
}
