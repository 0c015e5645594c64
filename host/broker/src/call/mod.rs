//! One call, from the caller's request to the end of the response: what all its parts share.

mod ended_early;
mod exports;
mod memory;
mod progress;
mod record;
mod redirects;

use std::sync::{Arc, OnceLock};

use http::{HeaderName, HeaderValue, Request, Uri};
use tokio::sync::SetOnce;

pub(crate) use memory::{CallMemory, HeldMemory, HoldingBody, field_bytes, header_bytes};
pub(crate) use record::UpstreamNote;

use crate::audit::{AuditSink, Outcome, Record};
use crate::error::CallError;
use crate::expect::Expectation;
use crate::mount::Mount;
use crate::running_grant::RunningGrant;
use crate::served_caller::ServedCaller;
use crate::surrogate::Surrogates;
use exports::Exports;
use keyward_policy::authorize::{Denied, Violation};
use keyward_policy::caller::Caller;
use keyward_policy::callers::CallerRule;
use progress::Progress;
use record::CallRecord;
use redirects::Redirects;

/// A call. When the last of its parts is gone, its audit record is written.
///
/// # What decides how a call ends
///
/// In this order:
///
/// 1. The *verdict* ([`Call::fail`]), the first one that is set: a rule that was broken, a limit,
///    the guest's trap, or a response that broke off. It outweighs whatever the plugin responds.
/// 2. The plugin's own error in place of a response (`wasi:http`'s error code) becomes a verdict
///    where there is none.
/// 3. Without a verdict, a caller that went away makes the call `abandoned`, even if the guest ran
///    to its end.
/// 4. Otherwise the plugin's response counts, whatever its status.
pub(crate) struct Call {
    mount: Arc<Mount>,
    caller: Caller,
    /// The name of the section that matches the caller.
    caller_name: Option<Arc<str>>,
    /// What the mount does for the caller, or why it does not serve it.
    served: Result<Arc<ServedCaller>, CallerRule>,
    /// The URI that the caller requested, behind the mount's name.
    requested: Uri,
    /// Whether the caller's request has a body.
    has_request_body: bool,
    /// The caller's header fields that refer to second paths.
    references: Vec<(HeaderName, HeaderValue)>,
    surrogates: Surrogates,
    memory: Arc<CallMemory>,
    verdict: OnceLock<CallError>,
    /// The error that ended it early.
    ended_early: SetOnce<CallError>,
    expectation: Expectation,
    redirects: Redirects,
    exports: Exports,
    progress: Progress,
    record: CallRecord,
}

impl Call {
    pub(crate) fn new<B: http_body::Body>(
        id: String,
        mount: Arc<Mount>,
        audit: Arc<dyn AuditSink>,
        caller: &Caller,
        caller_name: Option<&Arc<str>>,
        request: &Request<B>,
    ) -> Arc<Self> {
        let referenced_paths = mount.grants.iter().flat_map(|grant| &grant.referenced_paths);
        let references = referenced_paths
            .filter_map(|path| path.header.as_deref())
            .flat_map(|field| {
                let values = request.headers().get_all(field).into_iter();
                values.map(move |value| (field, value.clone()))
            })
            .filter_map(|(field, value)| Some((field.parse().ok()?, value)))
            .collect();
        let call = Arc::new(Self {
            record: CallRecord::new(id, &mount, audit, (caller, caller_name), request),
            memory: Arc::new(CallMemory::new(mount.limits.memory)),
            served: mount.callers.get(caller_name),
            mount,
            caller: caller.clone(),
            caller_name: caller_name.cloned(),
            requested: request.uri().clone(),
            has_request_body: !request.body().is_end_stream(),
            references,
            surrogates: Surrogates::default(),
            verdict: OnceLock::new(),
            ended_early: SetOnce::new(),
            expectation: Expectation::default(),
            redirects: Redirects::default(),
            exports: Exports::default(),
            progress: Progress::default(),
        });
        call.mount.running.add(&call);
        call
    }

    pub(crate) fn mount(&self) -> &Arc<Mount> {
        &self.mount
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What the mount does for the caller.
    ///
    /// # Errors
    ///
    /// The mount does not serve it.
    pub(crate) fn served(&self) -> Result<&ServedCaller, CallerRule> {
        self.served.as_deref().map_err(Clone::clone)
    }

    /// The mount's grants, on the caller's behalf: none if the mount does not serve it.
    pub(crate) fn grants(&self) -> &[RunningGrant] {
        self.served.as_deref().map_or(&[], ServedCaller::grants)
    }

    /// The caller's name, if its own `allow` narrows the mount's.
    fn narrowed_for(&self) -> Option<Arc<str>> {
        self.served.as_deref().ok().and_then(ServedCaller::narrowed_for).cloned()
    }

    /// The error of a request of the plugin's that is denied.
    pub(crate) fn denied(&self, denied: Denied) -> CallError {
        CallError::denied(&self.mount.name, &self.caller, self.narrowed_for(), denied)
    }

    /// The error of a violation in the caller's own request, which the plugin passed on.
    pub(crate) fn violation_of_caller(&self, violation: Violation) -> CallError {
        let (mount, narrowed_for) = (self.mount.name.clone(), self.narrowed_for());
        CallError::Caller { mount, narrowed_for, violation }
    }

    /// The error of a header field in the caller's own request that overrides its method or URL.
    pub(crate) fn overridden(&self, field: &'static str) -> CallError {
        let (mount, narrowed_for) = (self.mount.name.clone(), self.narrowed_for());
        CallError::Override { mount, narrowed_for, field }
    }

    /// The grant for an audience, by its name in the manifest.
    pub(crate) fn grant(&self, audience: &str) -> Option<&RunningGrant> {
        self.grants().iter().find(|grant| *grant.name == *audience)
    }

    /// The URI that the caller requested, behind the mount's name.
    pub(crate) fn requested(&self) -> &Uri {
        &self.requested
    }

    /// Whether the caller's request has a body.
    pub(crate) fn has_request_body(&self) -> bool {
        self.has_request_body
    }

    /// The caller's values of a header field that refers to a second path.
    pub(crate) fn references(&self, field: &str) -> impl Iterator<Item = &HeaderValue> {
        self.references
            .iter()
            .filter(move |(name, _)| name.as_str() == field)
            .map(|(_, value)| value)
    }

    pub(crate) fn surrogates(&self) -> &Surrogates {
        &self.surrogates
    }

    /// The memory that the call has.
    pub(crate) fn memory(&self) -> &Arc<CallMemory> {
        &self.memory
    }

    /// Ends the call with an error, whatever the plugin responds. The first one counts.
    pub(crate) fn fail(&self, error: CallError) {
        tracing::debug!(mount = %self.mount.name, %error, "a call fails");
        drop(self.verdict.set(error));
    }

    /// The error that ended the call, where one did.
    pub(crate) fn verdict(&self) -> Option<&CallError> {
        self.verdict.get()
    }

    /// What the caller expects before it sends its body.
    pub(crate) fn expectation(&self) -> &Expectation {
        &self.expectation
    }

    /// Where services redirected to in this call.
    pub(crate) fn redirects(&self) -> &Redirects {
        &self.redirects
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.mount.running.remove(self);
        let Self { verdict, progress, record, .. } = self;
        record.finish(|record: &mut Record| {
            record.bytes_in = *progress.bytes_in.get_mut();
            record.bytes_out = *progress.bytes_out.get_mut();
            match verdict.get() {
                Some(error) => {
                    record.outcome = error.outcome();
                    record.rule = Some(error.rule());
                    record.problem = Some(error.detail());
                }
                None if *progress.abandoned.get_mut() => record.outcome = Outcome::Abandoned,
                None if *progress.delivered.get_mut() => record.outcome = Outcome::Answered,
                None => {}
            }
        });
    }
}
