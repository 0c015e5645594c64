//! The audit: one record for every call, however it ended.
//!
//! A record says who called what, with which audience, to where, and how it ended. It holds no
//! credential, no body, no header field and no query, since a query may be a credential.

mod lines;

use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;

pub use lines::JsonLines;

use crate::lock::{LockAction, LockEvent, LockTarget};

/// Receives audit records. Every call waits for it: slow work belongs behind a queue, as in
/// [`JsonLines`].
pub trait AuditSink: Send + Sync + 'static {
    /// Receives one record.
    fn record(&self, record: &Record);
}

/// One call.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Record {
    /// When it began, in RFC 3339.
    #[serde(serialize_with = "rfc3339")]
    pub time: SystemTime,
    /// Its id, unique on this machine; the caller gets it as `x-keyward-call`.
    pub call: String,
    /// Who called, as far as it was proved.
    pub caller: String,
    /// The name of the section `[caller.NAME]` that matches the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_name: Option<Arc<str>>,
    /// The mount.
    pub mount: String,
    /// Its plugin.
    pub plugin: Arc<str>,
    /// The caller's method.
    pub method: String,
    /// The caller's path, without its query.
    pub path: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The status that the caller got, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The rule or limit that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'static str>,
    /// The message that the caller got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Audiences whose tokens were requested and denied, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub denied_audiences: Vec<String>,
    /// The requests that the plugin sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upstream: Vec<Upstream>,
    /// Whether a service sent a token back. It was redacted, or the (compressed) response was
    /// stopped.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
    /// The operation whose credential is handed out, in a record that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handed_out: Option<&'static str>,
    /// What was locked or unlocked, in a record that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockTarget>,
    /// Why it was locked or unlocked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Bytes of the caller's body.
    pub bytes_in: u64,
    /// Bytes of the response's body.
    pub bytes_out: u64,
    /// How long it took, in microseconds.
    pub duration_us: u64,
}

impl Record {
    /// The record of a lock that began or ended.
    pub(crate) fn of_lock(call: String, event: &LockEvent) -> Self {
        let mount = match &event.target {
            LockTarget::Mount(name) => name.clone(),
            LockTarget::All | LockTarget::Caller(_) | LockTarget::Identity(_) => String::new(),
        };
        Self {
            time: event.time,
            mount,
            outcome: match event.action {
                LockAction::Lock => Outcome::Locked,
                LockAction::Unlock => Outcome::Unlocked,
            },
            lock: Some(event.target.clone()),
            reason: event.reason.clone(),
            ..Self::of(call, event.by.clone(), "".into())
        }
    }

    /// The record of a call that begins now.
    pub(crate) fn of(call: String, caller: String, plugin: Arc<str>) -> Self {
        Self {
            time: SystemTime::now(),
            call,
            caller,
            caller_name: None,
            mount: String::new(),
            plugin,
            method: String::new(),
            path: String::new(),
            outcome: Outcome::Abandoned,
            status: None,
            rule: None,
            problem: None,
            denied_audiences: Vec::new(),
            upstream: Vec::new(),
            redacted: false,
            handed_out: None,
            lock: None,
            reason: None,
            bytes_in: 0,
            bytes_out: 0,
            duration_us: 0,
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Outcome {
    /// The caller has the whole of the plugin's response.
    Answered,
    /// A rule or a grant denied a request of the plugin's.
    Denied,
    /// The plugin failed, hit a limit, or broke off.
    Failed,
    /// The caller was handed a credential. The call has its usual record beside this one.
    Exported,
    /// The caller went away.
    Abandoned,
    /// Not a call: something was locked.
    Locked,
    /// Not a call: a lock was lifted.
    Unlocked,
}

/// A request that a plugin sent.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Upstream {
    /// The method. Of a database: `CONNECT`, `QUERY`, `EXECUTE`, `BEGIN`, `COMMIT`, `ROLLBACK`.
    pub method: String,
    /// The URL, without its query; of a database, the server and the database.
    pub url: String,
    /// The audience whose grant covered it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Whether its token went with it.
    pub token: bool,
    /// Whether the service rejected the token, so that the cache was to replace it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub token_rejected: bool,
    /// Whether a sealed value went with it: a shared access signature, or a password.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
    /// Whether the host used a cached response, or a pooled connection, instead of a new one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
    /// The operation, where its response is a credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mints: Option<&'static str>,
    /// The service's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The rule that denies it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied: Option<&'static str>,
    /// Why the response was not whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Bytes of the response's body.
    pub bytes: u64,
}

impl Upstream {
    pub(crate) fn of(method: String) -> Self {
        Self {
            method,
            url: String::new(),
            audience: None,
            token: false,
            token_rejected: false,
            sealed: false,
            cached: false,
            mints: None,
            status: None,
            denied: None,
            error: None,
            bytes: 0,
        }
    }
}

fn rfc3339<S: serde::Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*time))
}
