//! Runs one call in a sandbox of its own.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::oneshot;
use wasmtime::component::ResourceTableError;
use wasmtime::{Store, Trap};
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::{Error as WasiError, FieldMapError, WasiBody, WasiHttpView};

use super::body_slot::Passed;
use super::guest::Guest;
use super::meter::{Meter, Metered};
use super::output::printable;
use super::read_ahead::ReadAhead;
use super::responder::{GuestResponse, Responder};
use super::state::{CallerRequest, State};
use super::template::Template;
use crate::call::Call;
use crate::error::{CallError, Limit};
use crate::mount::CallPermit;

/// How many characters of a guest's own error are shown.
const LONGEST_ERROR: usize = 500;

/// A response, and what of its body has come.
pub(crate) struct PluginResponse {
    pub(crate) response: Response<WasiBody>,
    /// What has been read of the body, which comes before the rest.
    pub(crate) ahead: ReadAhead,
    /// Stops the guest when it is dropped.
    pub(crate) guest: Guest,
}

/// Hands a request to a fresh sandbox, and waits for the head of its response.
pub(crate) async fn run<B>(
    call: &Arc<Call>,
    template: &Template,
    request: Request<B>,
    scheme: Scheme,
    permit: CallPermit,
) -> Result<PluginResponse, CallError>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<WasiError>,
{
    let (sender, mut receiver) = oneshot::channel();
    // The guest lives in its caller's task as long as it can. A small response is whole by the time
    // its head is taken, and no other task, on another processor perhaps, was ever woken.
    let mut life =
        Box::pin(live(Arc::clone(call), template.clone(), request, scheme, sender, permit));
    let (mut answer, mut ended) = tokio::select! {
        biased;
        () = life.as_mut() => (receiver.try_recv().ok(), true),
        answer = &mut receiver => (answer.ok(), false),
    };
    let mut ahead = ReadAhead::default();
    if !ended {
        ended = poll_fn(|cx| Poll::Ready(life.as_mut().poll(cx).is_ready())).await;
        // Of a guest that has passed a whole response on, nothing is left to do.
        if !ended
            && let Some(GuestResponse { result: Ok(response), is_passed_on: true }) = &mut answer
        {
            let whole = poll_fn(|cx| Poll::Ready(ahead.read(response.body_mut(), cx))).await;
            ended = whole && call.has_ended();
        }
    }
    let guest = if ended { Guest::ended() } else { Guest::in_task(life) };
    // A rule that was broken before the response outweighs it.
    if let Some(verdict) = call.verdict() {
        return Err(verdict.clone());
    }
    let mount = || call.mount().name.clone();
    let failed = |why| {
        let error = CallError::Trapped { mount: mount(), why };
        call.fail(error.clone());
        Err(error)
    };
    match answer.map(|answer| answer.result) {
        // With one of these a connection would end as HTTP, or wait for another response.
        Some(Ok(response)) if response.status().is_informational() => {
            failed(format!("it answered with the status {}", response.status().as_u16()))
        }
        Some(Ok(response)) => Ok(PluginResponse { response, ahead, guest }),
        Some(Err(code)) => {
            let code: String = code.to_string().chars().take(LONGEST_ERROR).collect();
            failed(format!("it answered with the error {}", printable(code.as_bytes())))
        }
        // A guest that ends without a response leaves a verdict, so this is none.
        None => Err(CallError::NoResponse { mount: mount() }),
    }
}

/// The guest's life, and then that of the body that it has passed on.
async fn live<B>(
    call: Arc<Call>,
    template: Template,
    request: Request<B>,
    scheme: Scheme,
    sender: oneshot::Sender<GuestResponse>,
    permit: CallPermit,
) where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<WasiError>,
{
    let _permit = permit;
    // Dropped after the store, however this ends.
    let _released = Released(Arc::clone(&call));
    let mut ends = pin!(async {
        tokio::select! {
            biased;
            limit = watch(&call) => Some(limit),
            limit = overstay(&call) => Some(limit),
            _ = call.ended_early() => None,
        }
    });
    // Both break off when this ends.
    let passed = sandbox(&call, &template, request, scheme, sender, ends.as_mut()).await;
    if passed.response.is_some() && call.verdict().is_none() {
        tokio::select! {
            biased;
            () = call.delivered() => {}
            limit = ends => {
                if let Some(limit) = limit {
                    call.fail(CallError::limit(&call.mount().name, limit));
                }
            }
        }
    }
}

/// Runs the guest. Its verdict is known before its store is dropped, and with it the ends of its
/// bodies. `ends` tells when it must end, with the limit that it has reached or else early.
async fn sandbox<B>(
    call: &Arc<Call>,
    template: &Template,
    request: Request<B>,
    scheme: Scheme,
    sender: oneshot::Sender<GuestResponse>,
    ends: Pin<&mut impl Future<Output = Option<Limit>>>,
) -> Passed
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<WasiError>,
{
    let mount = call.mount();
    let meter = Meter::new(mount.limits.cpu_time);
    let responder = Responder::new(sender);
    let mut store =
        State::store(template.pre.engine(), call, Arc::clone(&meter), responder.clone());
    // Dropped before the store, however this ends.
    let _ended = Ended(Arc::clone(call));

    let handled = {
        let future = Box::pin(handle(template, &mut store, request, scheme));
        tokio::select! {
            biased;
            handled = Metered { future, meter } => handled,
            limit = ends => match limit {
                Some(limit) => Err(limit.into()),
                None => return Passed::default(),
            },
        }
    };
    let state = store.data_mut();
    let passed = std::mem::take(&mut state.passed);
    let error = match handled {
        // The service answered before it had all: what it did not want any more need not be sent.
        Ok(()) if responder.has_responded() && call.has_overtaken_upload() => {
            state.abort_open_bodies();
            return passed;
        }
        Ok(()) if state.has_open_body() => {
            let why = "it ended without ending a body that it had begun".to_owned();
            CallError::Trapped { mount: mount.name.clone(), why }
        }
        Ok(()) if responder.has_responded() => return passed,
        Ok(()) => CallError::NoResponse { mount: mount.name.clone() },
        Err(error) => verdict(call, &error),
    };
    call.fail(error);
    passed
}

/// Tells the call that its guest is no more.
struct Ended(Arc<Call>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.set_ended();
    }
}

/// Tells the call that nothing is left of its sandbox.
struct Released(Arc<Call>);

impl Drop for Released {
    fn drop(&mut self) {
        self.0.set_released();
    }
}

async fn handle<B>(
    template: &Template,
    store: &mut Store<State>,
    request: Request<B>,
    scheme: Scheme,
) -> wasmtime::Result<()>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<WasiError>,
{
    let proxy = template.pre.instantiate_async(&mut *store).await;
    let proxy = proxy.map_err(|error| NotStarted(error.to_string()))?;
    let (caller, request) = CallerRequest::new(request);
    let state = store.data_mut();
    state.request = caller;
    let responder = state.responder.clone();
    let mut http = state.http();
    let request = http.new_incoming_request(scheme, request)?;
    let out = http.new_response_outparam_from_callback(move |result| {
        responder.respond(GuestResponse { result, is_passed_on: false });
    })?;
    proxy.wasi_http_incoming_handler().call_handle(&mut *store, request, out).await
}

/// An instance could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotStarted(String);

/// Returns when the call has taken too long, or nothing moves any more. Looks four times in the
/// time allowed for that.
async fn watch(call: &Call) -> Limit {
    let limits = &call.mount().limits;
    let began = Instant::now();
    let (mut moved, mut still) = (call.moved(), 0);
    loop {
        let left = limits.wall_time.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Limit::WallTime(limits.wall_time);
        }
        tokio::time::sleep((limits.idle_time / 4).max(Duration::from_millis(1)).min(left)).await;
        let now = call.moved();
        still = if now == moved { still + 1 } else { 0 };
        moved = now;
        if still >= 4 {
            return Limit::IdleTime(limits.idle_time);
        }
    }
}

/// Returns when the guest has gone on for too long after the caller had all of its response.
async fn overstay(call: &Call) -> Limit {
    let finish_time = call.mount().limits.finish_time;
    call.delivered().await;
    tokio::time::sleep(finish_time).await;
    Limit::FinishTime(finish_time)
}

/// What ended a guest, for its caller.
fn verdict(call: &Call, error: &wasmtime::Error) -> CallError {
    let mount = call.mount();
    let limits = &mount.limits;
    tracing::debug!(mount = %mount.name, error = format!("{error:#}"), "a guest ended badly");
    let limit = if let Some(limit) = error.downcast_ref::<Limit>() {
        Some(*limit)
    } else if let Some(ResourceTableError::Full) = error.downcast_ref() {
        Some(Limit::Resources(limits.resources))
    } else if let Some(FieldMapError::TotalSizeTooBig | FieldMapError::TooManyFields) =
        error.downcast_ref()
    {
        Some(Limit::HeaderBytes(limits.header_bytes))
    } else {
        limit_by_words(error, limits)
    };
    if let Some(Limit::HeaderBytes(limit)) = limit
        && call.has_large_fields()
    {
        // The plugin passes on what the caller sent.
        return CallError::HeaderFieldsTooLarge { mount: mount.name.clone(), limit };
    }
    if let Some(limit) = limit {
        return CallError::limit(&mount.name, limit);
    }
    if let Some(NotStarted(why)) = error.downcast_ref() {
        return CallError::NotStarted { mount: mount.name.clone(), why: why.clone() };
    }
    let why = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    CallError::Trapped { mount: mount.name.clone(), why }
}

/// The limits that wasmtime has no type of error for.
fn limit_by_words(
    error: &wasmtime::Error,
    limits: &keyward_policy::config::Limits,
) -> Option<Limit> {
    let words = error.root_cause().to_string();
    if words.contains("hostcall") && words.contains("fuel") {
        Some(Limit::HostcallBytes(limits.hostcall_bytes))
    } else if words.contains("handle") && (words.contains("limit") || words.contains("maximum")) {
        Some(Limit::Resources(limits.resources))
    } else {
        None
    }
}
