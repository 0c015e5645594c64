//! Errors of calls, as callers and the audit see them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::audit::Outcome;
use crate::denial::{MintingDenied, NotAllowed, RedirectDenied};
use crate::lock::LockTarget;
use crate::slow_body::SlowBody;
use keyward_policy::authorize::{Denied, Violation};
use keyward_policy::caller::Caller;
use keyward_policy::callers::CallerDenied;
use keyward_policy::config::Rate;
use keyward_policy::config::caller::{OTHERS, mount_caller_header};
use keyward_policy::grant::NotCovered;
use keyward_policy::text::{human_size, one_of, toml_key};

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
            "callers that no section [caller.NAME] matches are locked".to_owned()
        }
        LockTarget::Caller(name) => format!("the caller `{name}` is locked"),
        LockTarget::Identity(name) => format!("the identity `{name}` of mount `{mount}` is locked"),
    })]
    Locked {
        /// The mount.
        mount: String,
        /// What is locked.
        target: LockTarget,
    },
    /// The caller began as many calls as its `rate` allows.
    #[error(
        "the caller `{name}` ({caller}) may begin {rate} calls at mount `{mount}`, and has begun them"
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
        /// What it was.
        violation: Violation,
    },
    /// The caller's own request, which the plugin passed on, breaks a rule of the boundary.
    #[error("mount `{mount}` does not pass this request on: {violation}")]
    Caller {
        /// The mount.
        mount: String,
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

/// A limit that a call ran into, with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Bytes of memory.
    Memory(u64),
    /// Table elements.
    TableElements(u32),
    /// Time on a processor.
    CpuTime(Duration),
    /// Time in which nothing moved.
    IdleTime(Duration),
    /// Time altogether.
    WallTime(Duration),
    /// Time after the response was complete.
    FinishTime(Duration),
    /// Requests.
    Requests(u32),
    /// Database connections.
    Connections(u32),
    /// Bytes of a row of a database's.
    RowBytes(u64),
    /// Bytes of log.
    LogBytes(u64),
    /// Bytes of header fields.
    HeaderBytes(u64),
    /// Handles.
    Resources(u32),
    /// Bytes of a host call.
    HostcallBytes(u64),
}

impl Limit {
    /// Its name in `[mount.NAME.limits]`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Memory(_) => "memory",
            Self::TableElements(_) => "table_elements",
            Self::CpuTime(_) => "cpu_time",
            Self::IdleTime(_) => "idle_time",
            Self::WallTime(_) => "wall_time",
            Self::FinishTime(_) => "finish_time",
            Self::Requests(_) => "requests",
            Self::Connections(_) => "connections",
            Self::RowBytes(_) => "memory",
            Self::LogBytes(_) => "log_bytes",
            Self::HeaderBytes(_) => "header_bytes",
            Self::Resources(_) => "resources",
            Self::HostcallBytes(_) => "hostcall_bytes",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let human = |duration: &Duration| humantime::format_duration(*duration).to_string();
        match self {
            Self::Memory(bytes) => write!(f, "exceeded {} of memory", human_size(*bytes)),
            Self::TableElements(count) => write!(f, "exceeded {count} table elements"),
            Self::CpuTime(time) => write!(f, "used more than {} of processor time", human(time)),
            Self::IdleTime(time) => write!(f, "made no progress for {}", human(time)),
            Self::WallTime(time) => write!(f, "took more than {}", human(time)),
            Self::FinishTime(time) => {
                write!(f, "went on for {} after its response was complete", human(time))
            }
            Self::Requests(count) => write!(f, "sent more than {count} requests"),
            Self::Connections(count) => {
                write!(f, "opened more than {count} database connections at once")
            }
            Self::RowBytes(bytes) => {
                write!(f, "asked a database for a row of more than {}", human_size(*bytes))
            }
            Self::LogBytes(bytes) => write!(f, "logged more than {}", human_size(*bytes)),
            Self::HeaderBytes(bytes) => {
                write!(f, "created header fields of more than {}", human_size(*bytes))
            }
            Self::Resources(count) => write!(f, "held more than {count} handles"),
            Self::HostcallBytes(bytes) => {
                write!(f, "passed more than {} to the host at once", human_size(*bytes))
            }
        }
    }
}

impl std::error::Error for Limit {}

impl CallError {
    pub(crate) fn limit(mount: &str, limit: Limit) -> Self {
        Self::Limit { mount: mount.to_owned(), limit }
    }

    pub(crate) fn violation(mount: &str, violation: Violation) -> Self {
        Self::Violation { mount: mount.to_owned(), violation }
    }

    pub(crate) fn forbidden_address(mount: &str, why: String) -> Self {
        Self::ForbiddenAddress { mount: mount.to_owned(), why }
    }

    /// The error of a request of the plugin's that is denied.
    #[must_use]
    pub fn denied(mount: &str, denied: Denied) -> Self {
        let mount = mount.to_owned();
        match denied {
            Denied::Violation(violation) => Self::Violation { mount, violation },
            Denied::NotCovered(request) => {
                Self::NotAllowed(Box::new(NotAllowed { mount, request: *request }))
            }
            Denied::Minting(request) => {
                Self::Minting(Box::new(MintingDenied { mount, request: *request }))
            }
        }
    }

    /// What to do about it, as a sentence without a full stop; `None` where there is no advice.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::UnknownMount { known, .. } if known.is_empty() => {
                Some("Configure a mount: a section [mount.NAME]".to_owned())
            }
            Self::UnknownMount { known, .. } => {
                let known = one_of(known.iter().map(String::as_str));
                Some(format!("The first segment of the path names the mount: {known}"))
            }
            Self::Override { mount, field } => {
                let violation = Violation::Override(field);
                Some(violation.help(mount))
            }
            Self::Busy { mount, .. } => {
                let mount = toml_key(mount);
                Some(format!("To allow more, raise `concurrency` in [mount.{mount}.limits]"))
            }
            Self::Waited { mount, .. } => {
                let mount = toml_key(mount);
                Some(format!(
                    "To allow more, raise `concurrency` in [mount.{mount}.limits]; `queue_time` \
                     there is how long a call waits"
                ))
            }
            Self::CallerDenied(denied) => Some(denied.help()),
            Self::Locked { target, .. } => Some(format!(
                "No configuration allows it: `keyward unlock{}`, by the daemon's user or root, \
                 lifts the lock",
                target.arguments()
            )),
            Self::RateLimited { mount, name, .. } => {
                Some(format!("To allow more, raise `rate` in {}", mount_caller_header(mount, name)))
            }
            Self::CallerBusy { mount, name, .. } => Some(format!(
                "To allow more, raise `concurrency` in {}, which is at most that of the mount",
                mount_caller_header(mount, name)
            )),
            Self::NotAllowed(denied) => Some(denied.help()),
            Self::Minting(denied) => Some(denied.help()),
            Self::Redirect(denied) => Some(denied.help()),
            Self::ForbiddenAddress { .. } => Some(
                "If that address is correct, write \"HOST:PORT\" = \"ADDRESS:PORT\" in \
                 [egress.resolve]; link-local and metadata addresses are never permitted"
                    .to_owned(),
            ),
            Self::Limit { mount, limit } => {
                let (mount, key) = (toml_key(mount), limit.key());
                Some(format!("`{key}` in [mount.{mount}.limits] sets this limit"))
            }
            Self::HeaderFieldsTooLarge { mount, .. } => {
                let mount = toml_key(mount);
                Some(format!("To allow more, raise `header_bytes` in [mount.{mount}.limits]"))
            }
            Self::ExportOff { mount, operation, audience } => {
                Some(how_to_hand_out(mount, operation.as_deref(), audience.as_deref()))
            }
            Self::Violation { mount, violation } | Self::Caller { mount, violation } => {
                Some(violation.help(mount))
            }
            Self::BadRequest { .. }
            | Self::SlowBody { .. }
            | Self::IncompleteBody
            | Self::Trapped { .. }
            | Self::NoResponse { .. }
            | Self::Unsealable { .. }
            | Self::Unsearchable { .. }
            | Self::TokenEchoed { .. }
            | Self::Truncated { .. }
            | Self::NotStarted { .. } => None,
        }
    }

    /// The message, with the help behind it.
    #[must_use]
    pub fn detail(&self) -> String {
        match self.help() {
            None => self.to_string(),
            Some(help) => format!("{self}. {help}"),
        }
    }

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
            Self::NotStarted { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// When the caller may try again, where it is a matter of time.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => Some(*retry_after),
            Self::Busy { .. } | Self::Waited { .. } | Self::CallerBusy { .. } => {
                Some(Duration::from_secs(1))
            }
            _ => None,
        }
    }

    /// The problem's type, which becomes `urn:keyward:problem:<kind>`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::UnknownMount { .. } => "unknown-mount",
            Self::Caller { violation, .. } if is_denial(violation) => "not-allowed",
            Self::BadRequest { .. }
            | Self::IncompleteBody
            | Self::HeaderFieldsTooLarge { .. }
            | Self::Override { .. }
            | Self::Caller { .. } => "bad-request",
            Self::CallerDenied(_) => "caller",
            Self::Locked { .. } => "locked",
            Self::RateLimited { .. } => "rate",
            Self::Busy { .. } | Self::Waited { .. } | Self::CallerBusy { .. } => "busy",
            Self::SlowBody { .. } => "slow-body",
            Self::NotAllowed(_) => "not-allowed",
            Self::Minting(_) => "minting",
            Self::Redirect(_) => "redirect",
            Self::Violation { .. } => "plugin-misuse",
            Self::ForbiddenAddress { .. } => "forbidden-address",
            Self::Limit { .. } => "limit",
            Self::Trapped { .. } => "plugin-failed",
            Self::Truncated { .. } => "broken-off",
            Self::Unsealable { .. } => "unsealable",
            Self::Unsearchable { .. } => "unsearchable",
            Self::TokenEchoed { .. } => "token-echoed",
            Self::ExportOff { .. } => "sas-export-off",
            Self::NoResponse { .. } => "no-answer",
            Self::NotStarted { .. } => "not-started",
        }
    }

    /// What it is, in a few words that are the same each time.
    #[must_use]
    pub fn title(&self) -> &'static str {
        match self {
            Self::UnknownMount { .. } => "Unknown mount",
            Self::Caller { violation, .. } if is_denial(violation) => "Not allowed",
            Self::BadRequest { .. }
            | Self::IncompleteBody
            | Self::HeaderFieldsTooLarge { .. }
            | Self::Override { .. }
            | Self::Caller { .. } => "Invalid request",
            Self::CallerDenied(_) => "The mount does not serve this caller",
            Self::Locked { .. } => "Locked",
            Self::RateLimited { .. } => "Too many calls",
            Self::Busy { .. } | Self::Waited { .. } | Self::CallerBusy { .. } => {
                "The mount is busy"
            }
            Self::SlowBody { .. } => "The request body came too slowly",
            Self::NotAllowed(_) => "Not allowed",
            Self::Minting(_) => "Minting a credential is not allowed",
            Self::Redirect(_) => "The mount may not follow the redirect",
            Self::Violation { .. } => "Request blocked",
            Self::ForbiddenAddress { .. } => "Forbidden address",
            Self::Limit { .. } => "Limit exceeded",
            Self::Trapped { .. } => "The plugin failed",
            Self::Truncated { .. } => "Response truncated",
            Self::Unsealable { .. } => "The response cannot be sealed",
            Self::Unsearchable { .. } => "The response cannot be checked for tokens",
            Self::TokenEchoed { .. } => "The service sent a token back",
            Self::ExportOff { .. } => "Credentials are not handed out",
            Self::NoResponse { .. } => "No response from the plugin",
            Self::NotStarted { .. } => "The plugin could not be started",
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

fn how_to_hand_out(mount: &str, operation: Option<&str>, audience: Option<&str>) -> String {
    match (operation, audience) {
        (Some(operation), None) => {
            format!("To allow it, write hand_out = [{operation:?}] in [mount.{}]", toml_key(mount))
        }
        (Some(operation), Some(audience)) => format!(
            "To allow it, write hand_out = [{operation:?}] in [mount.{mount}], and grant its \
             audience by a section \
             [mount.{mount}.audience.{}]",
            toml_key(audience),
            mount = toml_key(mount)
        ),
        (None, _) => {
            "No configuration allows it: the plugin offers no credential that a mount can \
                      hand out here"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use keyward_policy::authorize::{DeniedRequest, MintingRule};
    use keyward_policy::endpoint::Endpoint;
    use keyward_policy::path::NormalPath;

    use super::*;

    fn request<R>(reason: R) -> DeniedRequest<R> {
        DeniedRequest {
            audience: None,
            method: Method::GET,
            path: NormalPath::parse("/a").unwrap(),
            endpoint: Endpoint::parse("https://own.example").unwrap(),
            line: "GET /a".to_owned(),
            reason,
        }
    }

    /// An error of each kind, of the mount `shop`. A new kind belongs into both lists.
    fn all() -> Vec<CallError> {
        let (mount, why) = ("shop".to_owned(), String::new());
        let (violation, field) = (Violation::Scheme, "x-http-method");
        let endpoint = Endpoint::parse("https://own.example").unwrap();
        let redirect = RedirectDenied {
            mount: mount.clone(),
            audience: None,
            endpoint: endpoint.clone(),
            to: endpoint,
            named: Vec::new(),
        };
        let denied = NotAllowed { mount: mount.clone(), request: request(NotCovered::NotAllowed) };
        let minting = MintingDenied { mount: mount.clone(), request: request(MintingRule::Batch) };
        let operation = Some("listKeys".to_owned());
        vec![
            CallError::UnknownMount { name: mount.clone(), known: Vec::new() },
            CallError::BadRequest { why: "its path is malformed" },
            CallError::IncompleteBody,
            CallError::HeaderFieldsTooLarge { mount: mount.clone(), limit: 1 },
            CallError::Waited { mount: mount.clone(), concurrency: 1, waited: Duration::ZERO },
            CallError::SlowBody { mount: mount.clone(), slow: SlowBody { min_rate: 1 } },
            CallError::Override { mount: mount.clone(), field },
            CallError::Busy { mount: mount.clone(), concurrency: 1, queue: 1 },
            CallError::NotAllowed(Box::new(denied)),
            CallError::Minting(Box::new(minting)),
            CallError::Redirect(Box::new(redirect)),
            CallError::Locked { mount: mount.clone(), target: LockTarget::All },
            CallError::Violation { mount: mount.clone(), violation: violation.clone() },
            CallError::Caller { mount: mount.clone(), violation },
            CallError::ForbiddenAddress { mount: mount.clone(), why: why.clone() },
            CallError::limit("shop", Limit::Requests(1)),
            CallError::Trapped { mount: mount.clone(), why: why.clone() },
            CallError::NoResponse { mount: mount.clone() },
            CallError::Unsealable { mount: mount.clone(), why: why.clone() },
            CallError::Unsearchable { mount: mount.clone(), why: why.clone() },
            CallError::TokenEchoed { mount: mount.clone() },
            CallError::ExportOff { mount: mount.clone(), operation, audience: None },
            CallError::Truncated { mount: mount.clone(), why: why.clone() },
            CallError::NotStarted { mount, why },
        ]
    }

    #[test]
    fn the_help_of_every_denial_names_a_section_or_says_that_nothing_allows_it() {
        let denials: Vec<CallError> =
            all().into_iter().filter(|error| error.outcome() == Outcome::Denied).collect();
        assert_eq!(denials.len(), 9, "{denials:?}");
        for denial in denials {
            let help = denial.help().unwrap();
            let names_a_section =
                help.contains("[mount.shop]") || help.contains("[egress.resolve]");
            assert!(names_a_section || help.starts_with("No configuration allows it"), "{help}");
        }
    }

    #[test]
    fn the_help_of_every_limit_has_its_key_and_section() {
        for limit in [
            Limit::Memory(1),
            Limit::TableElements(1),
            Limit::CpuTime(Duration::ZERO),
            Limit::IdleTime(Duration::ZERO),
            Limit::WallTime(Duration::ZERO),
            Limit::FinishTime(Duration::ZERO),
            Limit::Requests(1),
            Limit::Connections(1),
            Limit::RowBytes(1),
            Limit::LogBytes(1),
            Limit::HeaderBytes(1),
            Limit::Resources(1),
            Limit::HostcallBytes(1),
        ] {
            let help = CallError::limit("my shop", limit).help().unwrap();
            let words = format!("`{}` in [mount.\"my shop\".limits]", limit.key());
            assert!(help.contains(&words), "{help}");
        }
        let busy = CallError::Busy { mount: "shop".to_owned(), concurrency: 1, queue: 1 };
        assert!(busy.help().unwrap().contains("`concurrency` in [mount.shop.limits]"));
    }

    #[test]
    fn the_help_of_a_credential_that_is_not_handed_out_has_the_line_and_its_section() {
        let help = |operation: Option<&str>, audience: Option<&str>| {
            let [operation, audience] = [operation, audience].map(|name| name.map(str::to_owned));
            CallError::ExportOff { mount: "shop".to_owned(), operation, audience }.help().unwrap()
        };
        let of_mount = help(Some("listKeys"), None);
        assert!(
            of_mount.ends_with("write hand_out = [\"listKeys\"] in [mount.shop]"),
            "{of_mount}"
        );
        let of_other = help(Some("listKeys"), Some("arm"));
        assert!(of_other.contains("hand_out = [\"listKeys\"] in [mount.shop]"), "{of_other}");
        assert!(of_other.ends_with("a section [mount.shop.audience.arm]"), "{of_other}");
        assert!(help(None, None).starts_with("No configuration allows it: "));
    }

    #[test]
    fn an_unknown_mount_has_the_known_ones_or_the_section_to_write() {
        let help = |known: &[&str]| {
            let known = known.iter().map(|name| (*name).to_owned()).collect();
            CallError::UnknownMount { name: "x".to_owned(), known }.help().unwrap()
        };
        assert!(help(&[]).contains("[mount.NAME]"));
        assert!(help(&["a", "b"]).ends_with("a or b"));
    }
}
