//! One call, from the caller's request to the end of the answer: what all its parts share.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime};

use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};

use crate::audit::{AuditSink, Outcome, Record, Upstream};
use crate::caller::Caller;
use crate::egress::{Redirects, Spend};
use crate::error::CallError;
use crate::expect::Expectation;
use crate::mount::Mount;
use crate::seal::SealedValue;
use crate::surrogate::Surrogates;

/// How many requests one record tells of. A plugin that sends more has them counted.
const UPSTREAM_TOLD: usize = 64;

/// A call. When the last of its parts is gone, its audit record is written.
pub(crate) struct Call {
    mount: Arc<Mount>,
    audit: Arc<dyn AuditSink>,
    surrogates: Surrogates,
    caller: Caller,
    /// The address that the caller asked for, behind the mount's name.
    requested: Uri,
    /// The caller's header fields that refer to second paths.
    references: Vec<(HeaderName, HeaderValue)>,
    started: Instant,
    /// What ended it, where the plugin's own answer does not count.
    verdict: OnceLock<CallError>,
    /// Moves whenever anything does.
    progress: AtomicU64,
    requests: AtomicU32,
    connections: AtomicU32,
    /// Uploads that are not finished, though their answers have come.
    overtaken: AtomicI32,
    expectation: Expectation,
    redirects: Redirects,
    /// The guest is no more, for better or worse.
    ended: AtomicBool,
    /// The caller has all of the answer.
    delivered: AtomicBool,
    /// The caller's body broke off.
    abandoned: AtomicBool,
    echo_blanked: AtomicBool,
    /// The caller is to be handed a credential.
    exporting: AtomicBool,
    /// The sealed values that may be handed to the caller, with the operations that minted them.
    exportable: Mutex<Vec<(&'static str, Arc<SealedValue>)>>,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    record: Mutex<Record>,
}

/// The place of one upstream request in the record.
#[derive(Clone)]
pub(crate) struct UpstreamNote {
    call: Arc<Call>,
    index: usize,
}

impl Call {
    pub(crate) fn new<B>(
        id: String,
        mount: Arc<Mount>,
        audit: Arc<dyn AuditSink>,
        caller: &Caller,
        request: &Request<B>,
    ) -> Arc<Self> {
        let fields =
            mount.grants.iter().flat_map(|grant| &grant.second_paths).filter_map(|path| path.header.as_deref());
        let references = fields
            .flat_map(|field| request.headers().get_all(field).into_iter().map(move |value| (field, value.clone())))
            .filter_map(|(field, value)| Some((field.parse().ok()?, value)))
            .collect();
        let record = Record {
            time: SystemTime::now(),
            call: id,
            caller: caller.to_string(),
            mount: mount.name.clone(),
            plugin: Arc::clone(&mount.plugin),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            outcome: Outcome::Abandoned,
            status: None,
            rule: None,
            problem: None,
            refused_audiences: Vec::new(),
            upstream: Vec::new(),
            echo_blanked: false,
            handed_out: None,
            bytes_in: 0,
            bytes_out: 0,
            duration_us: 0,
        };
        Arc::new(Self {
            mount,
            audit,
            surrogates: Surrogates::default(),
            caller: caller.clone(),
            requested: request.uri().clone(),
            references,
            started: Instant::now(),
            verdict: OnceLock::new(),
            progress: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            connections: AtomicU32::new(0),
            overtaken: AtomicI32::new(0),
            expectation: Expectation::default(),
            redirects: Redirects::default(),
            ended: AtomicBool::new(false),
            delivered: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            echo_blanked: AtomicBool::new(false),
            exporting: AtomicBool::new(false),
            exportable: Mutex::default(),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            record: Mutex::new(record),
        })
    }

    pub(crate) fn mount(&self) -> &Arc<Mount> {
        &self.mount
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The address that the caller asked for, behind the mount's name.
    pub(crate) fn requested(&self) -> &Uri {
        &self.requested
    }

    /// The caller's values of a header field that refers to a second path.
    pub(crate) fn references(&self, field: &str) -> impl Iterator<Item = &HeaderValue> {
        self.references.iter().filter(move |(name, _)| name.as_str() == field).map(|(_, value)| value)
    }

    pub(crate) fn surrogates(&self) -> &Surrogates {
        &self.surrogates
    }

    /// Ends the call with an error, whatever the plugin answers. The first one counts.
    pub(crate) fn fail(&self, error: CallError) {
        tracing::debug!(mount = %self.mount.name, %error, "a call fails");
        drop(self.verdict.set(error));
    }

    /// What the call was ended with.
    pub(crate) fn verdict(&self) -> Option<&CallError> {
        self.verdict.get()
    }

    /// Something moved.
    pub(crate) fn progress(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// A number that is another one whenever something moved.
    pub(crate) fn moved(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Counts a request of the plugin's, and says which one it is.
    pub(crate) fn count_request(&self) -> u32 {
        self.requests.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Counts a database connection in, and says how many there are.
    pub(crate) fn hold_connection(&self) -> u32 {
        self.connections.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Counts a database connection out.
    pub(crate) fn release_connection(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// What the caller expects before it sends its body.
    pub(crate) fn expectation(&self) -> &Expectation {
        &self.expectation
    }

    /// Where services redirected to in this call.
    pub(crate) fn redirects(&self) -> &Redirects {
        &self.redirects
    }

    /// Counts an upload whose answer came before its end in, or out.
    pub(crate) fn count_overtaken(&self, change: i32) {
        self.overtaken.fetch_add(change, Ordering::Relaxed);
    }

    /// Whether an upload is not finished, though its answer has come.
    pub(crate) fn has_overtaken_upload(&self) -> bool {
        self.overtaken.load(Ordering::Relaxed) > 0
    }

    /// The guest is about to be no more. Ends of bodies that are seen after this are not its own.
    pub(crate) fn set_ended(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    pub(crate) fn set_delivered(&self) {
        self.delivered.store(true, Ordering::Relaxed);
    }

    /// The caller went away before its body was whole. What the plugin makes of that reaches nobody.
    pub(crate) fn note_abandoned(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    pub(crate) fn count_in(&self, bytes: usize) {
        self.progress();
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_out(&self, bytes: usize) {
        self.progress();
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn note_echo(&self) {
        if !self.echo_blanked.swap(true, Ordering::Relaxed) {
            tracing::warn!(mount = %self.mount.name, "a service sent a token back; it did not leave the broker");
        }
    }

    pub(crate) fn note_status(&self, status: u16) {
        self.record().status = Some(status);
    }

    /// The caller asks to be handed a credential, and may be.
    pub(crate) fn set_exporting(&self) {
        self.exporting.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_exporting(&self) -> bool {
        self.exporting.load(Ordering::Relaxed)
    }

    /// These values may be handed to the caller, where it asks for that.
    pub(crate) fn allow_export<'v>(&self, operation: &'static str, values: impl Iterator<Item = &'v Arc<SealedValue>>) {
        if self.is_exporting() {
            let mut exportable = self.exportable.lock().unwrap_or_else(PoisonError::into_inner);
            exportable.extend(values.map(|value| (operation, Arc::clone(value))));
        }
    }

    pub(crate) fn exportable(&self) -> Vec<(&'static str, Arc<SealedValue>)> {
        self.exportable.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A caller is about to be handed a credential: that is a record of its own, written before it is.
    pub(crate) fn record_export(&self, status: StatusCode, operation: &'static str) {
        let mut record = self.record().clone();
        record.outcome = Outcome::Exported;
        record.handed_out = Some(operation);
        record.status = Some(status.as_u16());
        record.duration_us = self.duration_us();
        self.audit.record(&record);
    }

    fn duration_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(crate) fn note_refused_audience(&self, audience: &str) {
        let mut record = self.record();
        if record.refused_audiences.len() < UPSTREAM_TOLD {
            record.refused_audiences.push(audience.chars().take(100).collect());
        }
    }

    pub(crate) fn note_refused<B>(&self, request: &Request<B>, rule: &'static str) {
        let uri = request.uri();
        let upstream = upstream(request.method(), uri, None, false, Some(rule));
        self.push_upstream(upstream);
    }

    pub(crate) fn note_upstream(
        self: &Arc<Self>,
        grant: usize,
        method: &Method,
        uri: &Uri,
        spend: &Spend,
    ) -> UpstreamNote {
        let audience = self.mount.grants.get(grant).map(|grant| grant.audience.to_string());
        let (token, sealed) = (matches!(spend, Spend::Token), matches!(spend, Spend::Query(_)));
        let path = uri.path();
        tracing::debug!(mount = %self.mount.name, %method, host = uri.host(), path, token, sealed, "sending");
        let upstream = Upstream { sealed, ..upstream(method, uri, audience, token, None) };
        let index = self.push_upstream(upstream);
        UpstreamNote { call: Arc::clone(self), index }
    }

    /// What is done with a database: `path` is the database's. What a statement says is nobody's business.
    pub(crate) fn note_sql(
        self: &Arc<Self>,
        grant: usize,
        method: &'static str,
        path: &str,
        sealed: bool,
    ) -> UpstreamNote {
        let grant = self.mount.grants.get(grant);
        let url = grant.map_or_else(String::new, |grant| format!("{}{path}", grant.endpoint));
        tracing::debug!(mount = %self.mount.name, method, url, "to a database");
        let token = method == "CONNECT" && !sealed;
        let audience = grant.filter(|_| token).map(|grant| grant.audience.to_string());
        let upstream = Upstream { url, audience, token, sealed, ..Upstream::of(method.to_owned()) };
        UpstreamNote { call: Arc::clone(self), index: self.push_upstream(upstream) }
    }

    pub(crate) fn note_refused_sql(&self, rule: &'static str) {
        self.push_upstream(Upstream { refused: Some(rule), ..Upstream::of("CONNECT".to_owned()) });
    }

    fn push_upstream(&self, upstream: Upstream) -> usize {
        let mut record = self.record();
        if record.upstream.len() < UPSTREAM_TOLD {
            record.upstream.push(upstream);
            record.upstream.len() - 1
        } else {
            usize::MAX
        }
    }

    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn upstream(
    method: &Method,
    uri: &Uri,
    audience: Option<String>,
    token: bool,
    refused: Option<&'static str>,
) -> Upstream {
    // What a guest wrote into a request that was refused may be a surrogate, which is nobody's business either.
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let url = match refused {
        Some(_) => {
            format!("{}://{}", uri.scheme_str().unwrap_or_default(), authority.chars().take(200).collect::<String>())
        }
        None => format!("{}://{authority}{}", uri.scheme_str().unwrap_or_default(), uri.path()),
    };
    Upstream { url, audience, token, refused, ..Upstream::of(method.to_string()) }
}

impl UpstreamNote {
    pub(crate) fn update(&self, change: impl FnOnce(&mut Upstream)) {
        if let Some(upstream) = self.call.record().upstream.get_mut(self.index) {
            change(upstream);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let duration_us = self.duration_us();
        let record = self.record.get_mut().unwrap_or_else(PoisonError::into_inner);
        record.bytes_in = *self.bytes_in.get_mut();
        record.bytes_out = *self.bytes_out.get_mut();
        record.echo_blanked = *self.echo_blanked.get_mut();
        record.duration_us = duration_us;
        match self.verdict.get() {
            Some(error) => {
                record.outcome = error.outcome();
                record.rule = Some(error.rule());
                record.problem = Some(error.to_string());
            }
            None if *self.abandoned.get_mut() => record.outcome = Outcome::Abandoned,
            None if *self.delivered.get_mut() => record.outcome = Outcome::Answered,
            None => {}
        }
        self.audit.record(record);
    }
}
