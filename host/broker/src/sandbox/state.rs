//! What one sandbox has.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Uri};
use http_body::Body;
use http_body_util::BodyExt;
use wasmtime::component::ResourceTable;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::clocks::{MonotonicClock, WallClock};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::body::{HostOutgoingBody, StreamContext};
use wasmtime_wasi_http::{Error, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::body_slot::{BodySlot, Passed, WeakSlot};
use super::clocks::Coarse;
use super::meter::Meter;
use super::output::Output;
use super::responder::Responder;
use crate::call::Call;
use crate::egress::EgressHooks;
use crate::error::Limit;

/// The most random bytes that a guest gets at once.
const RANDOM: u64 = 64 << 10;

/// What all of a sandbox's memories, tables and handles have together: a component of many memories
/// gets no more than one of one.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Bytes that are counted for handles. What is dropped counts until the handles are looked at.
    pub(super) handle_bytes: u64,
    /// What they were when the handles were last looked at.
    pub(super) last_handle_bytes: u64,
    pub(super) table_elements: u64,
}

/// The host's side of a sandbox: no files, no environment, no arguments, no sockets.
pub(super) struct State {
    pub(super) table: ResourceTable,
    /// Made once the guest uses it, since most never do.
    wasi: Option<Box<WasiCtx>>,
    http: WasiHttpCtx,
    hooks: EgressHooks,
    pub(super) call: Arc<Call>,
    pub(super) counts: Counts,
    /// The caller's request.
    pub(super) request: CallerRequest,
    /// Responses of services that can be passed on, by the guest's handles to them.
    pub(super) responses: Vec<(u32, WeakSlot)>,
    pub(super) responder: Responder,
    pub(super) passed: Passed,
}

/// The caller's request, as it can be passed on.
#[derive(Default)]
pub(super) struct CallerRequest {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) has_body: bool,
    pub(super) body: WeakSlot,
}

impl CallerRequest {
    /// Returns the request as the guest gets it.
    pub(super) fn new<B>(request: Request<B>) -> (Self, Request<WasiBody>)
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Error>,
    {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let has_body = !request.body().is_end_stream();
        let mut body = WeakSlot::default();
        let request = request.map(|whole| {
            let whole = whole.map_err(Into::into).boxed_unsync();
            if !has_body {
                return whole;
            }
            let slot = BodySlot::new(whole);
            body = slot.downgrade();
            slot.reader()
        });
        (Self { method, uri, has_body, body }, request)
    }
}

impl State {
    fn new(call: &Arc<Call>, responder: Responder) -> Self {
        let limits = &call.mount().limits;
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(usize::try_from(limits.header_bytes).unwrap_or(usize::MAX));
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.resources as usize);
        let hooks = EgressHooks(Arc::clone(call));
        Self {
            table,
            wasi: None,
            http,
            hooks,
            call: Arc::clone(call),
            counts: Counts::default(),
            request: CallerRequest::default(),
            responses: Vec::new(),
            responder,
            passed: Passed::default(),
        }
    }

    /// A store with all limits on it.
    pub(super) fn store(
        engine: &wasmtime::Engine,
        call: &Arc<Call>,
        meter: Arc<Meter>,
        responder: Responder,
    ) -> Store<Self> {
        let limits = call.mount().limits;
        let mut store = Store::new(engine, Self::new(call, responder));
        store.limiter(|state| state);
        store.set_hostcall_fuel(usize::try_from(limits.hostcall_bytes).unwrap_or(usize::MAX));
        store.set_max_component_handles(limits.resources as usize);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            if meter.is_over() {
                Err(Limit::CpuTime(limits.cpu_time).into())
            } else {
                Ok(UpdateDeadline::Yield(1))
            }
        });
        store
    }
}

impl State {
    /// The hooks of `wasi:http`.
    pub(super) fn hooks(&mut self) -> &mut EgressHooks {
        &mut self.hooks
    }

    /// Whether there is a body that the guest has begun and neither ended nor dropped. Its end
    /// would look like a good one.
    pub(super) fn has_open_body(&mut self) -> bool {
        self.table.iter_mut().any(|entry| entry.is::<HostOutgoingBody>())
    }

    /// Breaks off the bodies that the guest has neither ended nor dropped: who reads one gets an
    /// error in place of its end.
    pub(super) fn abort_open_bodies(&mut self) {
        for body in
            self.table.iter_mut().filter_map(|entry| entry.downcast_mut::<HostOutgoingBody>())
        {
            let (nothing, _) = HostOutgoingBody::new(StreamContext::Request, None, 1, 1);
            std::mem::replace(body, nothing).abort();
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let ctx = self.wasi.get_or_insert_with(|| Box::new(wasi(&self.call)));
        WasiCtxView { ctx, table: &mut self.table }
    }
}

/// Output to the host's log, random numbers and coarse clocks.
fn wasi(call: &Arc<Call>) -> WasiCtx {
    let (stdout, stderr) = Output::pair(call);
    let mut wasi = WasiCtx::builder();
    wasi.stdout(stdout)
        .stderr(stderr)
        .max_random_size(RANDOM)
        .wall_clock(Coarse::<WallClock>::default())
        .monotonic_clock(Coarse::<MonotonicClock>::default())
        .allow_tcp(false)
        .allow_udp(false);
    wasi.build()
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}
