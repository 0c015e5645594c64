//! The audit record of a call, as it comes together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::{Method, Request, StatusCode, Uri};
use keyward_policy::grant::Grant;

use super::Call;
use crate::audit::{AuditSink, Outcome, Record, Upstream};
use crate::mount::Mount;
use crate::sealed_value::Spend;
use keyward_policy::caller::Caller;

/// The most upstream requests, and denied audiences, that one record lists.
const LISTED: usize = 64;

/// The audit record of a call, and where it is written.
pub(super) struct CallRecord {
    sink: Arc<dyn AuditSink>,
    started: Instant,
    redacted: AtomicBool,
    record: Mutex<Record>,
}

/// One upstream request in the record of its call. Without an index, the record lists enough
/// already.
#[derive(Clone)]
pub(crate) struct UpstreamNote {
    call: Arc<Call>,
    index: Option<usize>,
}

impl CallRecord {
    pub(super) fn new<B>(
        id: String,
        mount: &Mount,
        sink: Arc<dyn AuditSink>,
        (caller, caller_name): (&Caller, Option<&Arc<str>>),
        request: &Request<B>,
    ) -> Self {
        let record = Record {
            mount: mount.name.clone(),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            caller_name: caller_name.cloned(),
            ..Record::of(id, caller.to_string(), Arc::clone(&mount.plugin))
        };
        Self {
            sink,
            started: Instant::now(),
            redacted: AtomicBool::new(false),
            record: Mutex::new(record),
        }
    }

    /// Completes the record, and writes it.
    pub(super) fn finish(&mut self, complete: impl FnOnce(&mut Record)) {
        let duration_us = self.duration_us();
        let record = self.record.get_mut().unwrap_or_else(PoisonError::into_inner);
        record.redacted = *self.redacted.get_mut();
        record.duration_us = duration_us;
        complete(record);
        self.sink.record(record);
    }

    fn duration_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    pub(crate) fn note_status(&self, status: u16) {
        self.record.lock().status = Some(status);
    }

    /// A service sent a credential back, which was redacted.
    pub(crate) fn note_redacted(&self) {
        if !self.record.redacted.swap(true, Ordering::Relaxed) {
            let mount = self.mount().name.as_str();
            tracing::warn!(mount, "a service sent a token back; it did not leave the broker");
        }
    }

    /// A caller is about to be handed a credential: that is a record of its own, written before.
    pub(crate) fn record_export(&self, status: StatusCode, operation: &'static str) {
        let mut record = self.record.lock().clone();
        record.outcome = Outcome::Exported;
        record.handed_out = Some(operation);
        record.status = Some(status.as_u16());
        record.duration_us = self.record.duration_us();
        self.record.sink.record(&record);
    }

    pub(crate) fn note_denied_audience(&self, audience: &str) {
        let mut record = self.record.lock();
        if record.denied_audiences.len() < LISTED {
            record.denied_audiences.push(audience.chars().take(100).collect());
        }
    }

    pub(crate) fn note_denied<B>(&self, request: &Request<B>, rule: &'static str) {
        // A denied request may contain a surrogate anywhere, so its path is not recorded, and of
        // its method no more than the longest that is registered has.
        let uri = request.uri();
        let authority = authority(uri).chars().take(200).collect::<String>();
        let url = format!("{}://{authority}", uri.scheme_str().unwrap_or_default());
        let method = request.method().as_str().chars().take(20).collect();
        self.push_upstream(Upstream { url, denied: Some(rule), ..Upstream::of(method) });
    }

    pub(crate) fn note_upstream(
        self: &Arc<Self>,
        grant: &Grant,
        method: &Method,
        uri: &Uri,
        spend: &Spend,
    ) -> UpstreamNote {
        let token = matches!(spend, Spend::Token);
        let sealed = matches!(spend, Spend::Query(_));
        let (mount, path) = (self.mount().name.as_str(), uri.path());
        tracing::debug!(mount, %method, host = uri.host(), path, token, sealed, "sending");
        let url = format!("{}://{}{path}", uri.scheme_str().unwrap_or_default(), authority(uri));
        let audience = Some(grant.audience.to_string());
        let upstream =
            Upstream { url, audience, token, sealed, ..Upstream::of(method.to_string()) };
        UpstreamNote { call: Arc::clone(self), index: self.push_upstream(upstream) }
    }

    /// Notes a step at a database. `path` is the database's; statements are not recorded.
    pub(crate) fn note_sql(
        self: &Arc<Self>,
        grant: &Grant,
        method: &'static str,
        path: &str,
        sealed: bool,
    ) -> UpstreamNote {
        let url = format!("{}{path}", grant.endpoint);
        tracing::debug!(mount = %self.mount().name, method, url, "to a database");
        let token = method == "CONNECT" && !sealed;
        let audience = token.then(|| grant.audience.to_string());
        let upstream = Upstream { url, audience, token, sealed, ..Upstream::of(method.to_owned()) };
        UpstreamNote { call: Arc::clone(self), index: self.push_upstream(upstream) }
    }

    pub(crate) fn note_denied_sql(&self, rule: &'static str) {
        self.push_upstream(Upstream { denied: Some(rule), ..Upstream::of("CONNECT".to_owned()) });
    }

    fn push_upstream(&self, upstream: Upstream) -> Option<usize> {
        let mut record = self.record.lock();
        let index = record.upstream.len();
        if index >= LISTED {
            return None;
        }
        record.upstream.push(upstream);
        Some(index)
    }
}

fn authority(uri: &Uri) -> &str {
    uri.authority().map_or("", |authority| authority.as_str())
}

impl UpstreamNote {
    pub(crate) fn update(&self, change: impl FnOnce(&mut Upstream)) {
        let mut record = self.call.record.lock();
        if let Some(upstream) = self.index.and_then(|index| record.upstream.get_mut(index)) {
            change(upstream);
        }
    }
}
