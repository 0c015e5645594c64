//! The broker: mounts at work.

mod locks;
mod reload;
mod replaced;
mod status;
mod stop;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use keyward_identity::cache::{Persistence, Statistics};
use keyward_identity::clock::{Clock, SystemClock};
use keyward_identity::{Audience, TokenSource};

use crate::audit::{AuditSink, Record};
use crate::body::Body;
use crate::call::Call;
use crate::error::CallError;
use crate::generation::{Entry, Generation, Shared};
use crate::hand_out;
use crate::lock::{Lock, Locks};
use crate::mount::Mount;
use crate::problem::problem;
use crate::rejection::{RejectedRequest, Rejection};
use crate::request::{PublicUrl, prepare};
use crate::sandbox::{self, CompileEvent};
use crate::served_caller::{self, ServedCaller};
use crate::start_error::StartError;
use crate::stopping::Stopping;
use crate::upstream::{Resolve, SystemResolver};
use keyward_policy::caller::Caller;
use keyward_policy::plan::Plan;
use keyward_policy::request_head::RequestHead;
use replaced::Replaced;
pub use status::MountStatus;

/// The field in which a response has its call's number, which the audit has too.
const CALL: HeaderName = HeaderName::from_static("x-keyward-call");

/// The id of a call.
struct CallId(String);

impl CallId {
    /// Adds the id to a response.
    fn label(self, mut response: Response<Body>) -> Response<Body> {
        if let Ok(id) = HeaderValue::try_from(self.0) {
            response.headers_mut().insert(CALL, id);
        }
        response
    }
}

/// A broker. Clones are the same one.
#[derive(Clone)]
pub struct Broker(Arc<Inner>);

struct Inner {
    /// The mounts and identities that calls begin with.
    current: ArcSwap<Generation>,
    /// What reloads have replaced and calls still use.
    replaced: Mutex<Replaced>,
    /// Held while the next generation is made.
    reloading: Mutex<()>,
    shared: Shared,
    audit: Arc<dyn AuditSink>,
    /// The beginning of all calls' numbers: another one for each broker.
    number: u32,
    calls: AtomicU64,
}

/// What a broker is started with, beside its plan.
pub struct Options<'a> {
    /// Where records of calls go. By default they are events of `tracing` at level `info`.
    pub audit: Arc<dyn AuditSink>,
    /// Finds the addresses of endpoints.
    pub resolver: Arc<dyn Resolve>,
    /// The clock for the expiry of tokens.
    pub clock: Arc<dyn Clock>,
    /// Token sources of the embedding service, by the names of their identities: those that are
    /// configured as [`IdentityConfig::supplied`](crate::config::IdentityConfig::supplied).
    pub sources: BTreeMap<String, Arc<dyn TokenSource>>,
    /// What is locked from the beginning: see [`Broker::lock`].
    pub locks: Vec<Lock>,
    /// Called when a plugin is compiled.
    pub on_compile: Option<&'a mut dyn FnMut(CompileEvent<'_>)>,
}

impl Broker {
    /// Starts a broker, with records of calls as events of `tracing`.
    ///
    /// Must be called within a Tokio runtime. Compiles the plugins that are not in the compile
    /// cache, which takes up to a second each.
    ///
    /// # Errors
    ///
    /// A plugin, a certificate or the machine is not as it must be.
    pub fn start(plan: Plan) -> Result<Self, StartError> {
        Self::start_with(plan, Options::default())
    }

    /// Starts a broker.
    ///
    /// # Errors
    ///
    /// A plugin, a certificate or the machine is not as it must be.
    pub fn start_with(plan: Plan, options: Options<'_>) -> Result<Self, StartError> {
        let Options { audit, resolver, clock, sources, locks, on_compile } = options;
        let shared = Shared {
            resolver,
            clock,
            sources,
            locks: Arc::new(Locks::default()),
            stopping: Arc::new(Stopping::default()),
        };
        let (generation, _) = Generation::new(plan, None, &shared, on_compile)?;
        let broker = Self(Arc::new(Inner {
            current: ArcSwap::from_pointee(generation),
            replaced: Mutex::default(),
            reloading: Mutex::default(),
            shared,
            audit,
            number: rand::random::<u32>(),
            calls: AtomicU64::new(0),
        }));
        broker.start_locked(locks);
        Ok(broker)
    }

    /// Calls a mount.
    ///
    /// The request's path is the one behind the mount's name. The response's body streams; dropping
    /// it stops the plugin and what it does upstream. [`PublicUrl`](crate::PublicUrl) among the
    /// request's extensions says where callers reach the mount.
    ///
    /// # Errors
    ///
    /// There is no such mount, it is busy, or its plugin broke a rule, ran into a limit or failed.
    /// [`CallError::into_response`] tells a caller. What a *service* answers is never an error.
    pub async fn call<B>(
        &self,
        mount: &str,
        caller: &Caller,
        request: Request<B>,
    ) -> Result<Response<Body>, CallError>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let id = self.next_call();
        let response = self.call_as(&id, mount, caller, request).await?;
        Ok(id.label(response))
    }

    /// The same as [`call`](Self::call), with an error as the response that a caller gets: problem
    /// details, with the call's id.
    pub async fn respond<B>(
        &self,
        mount: &str,
        caller: &Caller,
        request: Request<B>,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let id = self.next_call();
        let response = self.call_as(&id, mount, caller, request).await;
        id.label(response.unwrap_or_else(CallError::into_response))
    }

    fn next_call(&self) -> CallId {
        let number = self.0.calls.fetch_add(1, Ordering::Relaxed);
        CallId(format!("{:08x}-{number:x}", self.0.number))
    }

    async fn call_as<B>(
        &self,
        id: &CallId,
        mount: &str,
        caller: &Caller,
        request: Request<B>,
    ) -> Result<Response<Body>, CallError>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // A reload that comes later does not change what the call goes on with.
        let (entry, name) = {
            let generation = self.0.current.load();
            let name = generation.callers.find(caller).cloned();
            (generation.mounts.get(mount).cloned(), name)
        };
        let Some(entry) = entry else {
            return Err(self.unknown_mount(id, mount, caller, &request));
        };
        let (audit, mount) = (Arc::clone(&self.0.audit), Arc::clone(&entry.mount));
        let call = Call::new(id.0.clone(), mount, audit, caller, name.as_ref(), &request);
        let answered = self.answer(&call, &entry, request).await;
        if let Err(error) = &answered {
            call.fail(error.clone());
            call.note_status(error.status().as_u16());
        }
        let response = answered?;
        call.note_status(response.status().as_u16());
        Ok(response)
    }

    /// The error of a call to a mount that does not exist, which is audited, too.
    fn unknown_mount<B>(
        &self,
        id: &CallId,
        mount: &str,
        caller: &Caller,
        request: &Request<B>,
    ) -> CallError {
        let name = mount.chars().take(100).collect();
        let error = CallError::UnknownMount { name, known: self.mounts() };
        let (method, path) = (request.method().as_str(), request.uri().path());
        let request = RejectedRequest { method, mount, path };
        self.0.audit.record(&Rejection::from(&error).record(&id.0, caller, request));
        error
    }

    /// Makes the response to a request that a server refuses before it calls a mount: problem
    /// details, with a call's id. The audit has it, too.
    #[must_use]
    pub fn reject(
        &self,
        caller: &Caller,
        request: RejectedRequest<'_>,
        rejection: &Rejection,
    ) -> Response<Body> {
        let id = self.next_call();
        self.0.audit.record(&rejection.record(&id.0, caller, request));
        let Rejection { status, kind, title, detail, .. } = rejection;
        id.label(problem(*status, kind, title, detail))
    }

    async fn answer<B>(
        &self,
        call: &Arc<Call>,
        entry: &Entry,
        request: Request<B>,
    ) -> Result<Response<Body>, CallError>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        call.check_admitted()?;
        let served = check_caller(call, &request)?;
        let (request, scheme) = prepare(call, request)?;
        let exports = hand_out::is_requested(call, &request)?;
        if exports {
            call.set_exporting();
        }
        let permit = tokio::select! {
            biased;
            permit = call.mount().acquire(served, call.caller()) => permit?,
            error = call.ended_early() => return Err(error),
        };
        call.check_lock()?;
        let answered = sandbox::run(call, &entry.template, request, scheme, permit).await?;
        let response = Body::from_plugin(answered, Arc::clone(call));
        if exports { hand_out::unseal(call, response).await } else { Ok(response) }
    }

    /// The name of the section `[caller.NAME]` that matches a caller.
    #[must_use]
    pub fn caller_name(&self, caller: &Caller) -> Option<Arc<str>> {
        self.0.current.load().callers.find(caller).cloned()
    }

    /// Whether there is a mount of this name.
    pub(crate) fn has_mount(&self, name: &str) -> bool {
        self.0.current.load().mounts.contains_key(name)
    }

    /// The mounts' names, in their order.
    #[must_use]
    pub fn mounts(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.current.load().mounts.keys().cloned().collect();
        names.sort();
        names
    }

    /// How often each token of each identity was asked for and fetched.
    #[must_use]
    pub fn token_statistics(&self) -> BTreeMap<String, Vec<Statistics>> {
        let generation = self.0.current.load();
        let caches = generation.identities.caches();
        caches.map(|(name, cache)| (name.clone(), cache.statistics())).collect()
    }

    /// Forgets the tokens of an identity, or the one for an audience, in memory and on disk; the
    /// next call fetches another. Returns the audiences that there were tokens for; `None` where
    /// there is no such identity.
    ///
    /// # Errors
    ///
    /// That of the disk. The tokens are gone from memory all the same.
    pub async fn forget_tokens(
        &self,
        identity: &str,
        audience: Option<&Audience>,
    ) -> std::io::Result<Option<BTreeSet<Audience>>> {
        let generation = self.0.current.load_full();
        let Some(cache) = generation.identities.cache(identity) else { return Ok(None) };
        let mut forgotten = cache.forget(audience);
        for cache in self.replaced().caches(identity) {
            forgotten.extend(cache.forget(audience));
        }
        for file in self.files() {
            flush(file).await?;
        }
        tracing::info!(identity, count = forgotten.len(), "forgot tokens");
        Ok(Some(forgotten))
    }

    /// The files of tokens, also those of identities that a reload replaced.
    fn files(&self) -> Vec<Persistence> {
        let replaced = self.replaced();
        let generation = self.0.current.load();
        generation.identities.files().chain(replaced.files()).cloned().collect()
    }

    /// All mounts that calls use, also those that a reload replaced.
    fn all_mounts(&self) -> Vec<Arc<Mount>> {
        let replaced = self.replaced();
        let generation = self.0.current.load();
        let current = generation.mounts.values().map(|entry| Arc::clone(&entry.mount));
        current.chain(replaced.mounts()).collect()
    }

    fn replaced(&self) -> std::sync::MutexGuard<'_, Replaced> {
        self.0.replaced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until what is kept on disk is there.
async fn flush(file: Persistence) -> std::io::Result<()> {
    tokio::task::spawn_blocking(move || file.flush()).await.map_err(std::io::Error::other)?
}

/// Checks that the mount serves the caller, and this request of it.
fn check_caller<'c, B>(
    call: &'c Call,
    request: &Request<B>,
) -> Result<&'c ServedCaller, CallError> {
    let head = RequestHead {
        method: request.method(),
        query: request.uri().query(),
        headers: Some(request.headers()),
    };
    let own_url = request.extensions().get::<PublicUrl>().map(PublicUrl::to_string);
    let checked = call.served().and_then(|served| {
        served.check_request(&head, request.uri().path(), own_url.as_deref())?;
        Ok(served)
    });
    checked.map_err(|rule| served_caller::denied(&call.mount().name, call.caller(), rule))
}

/// Records as events.
struct Events;

impl AuditSink for Events {
    fn record(&self, record: &Record) {
        let Record {
            call, caller, caller_name, mount, method, path, outcome, status, rule, ..
        } = record;
        tracing::info!(
            target: "keyward::audit",
            call, caller, caller_name = caller_name.as_deref(), mount, method, path, ?outcome, status, rule
        );
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            audit: Arc::new(Events),
            resolver: Arc::new(SystemResolver),
            clock: Arc::new(SystemClock::default()),
            sources: BTreeMap::new(),
            locks: Vec::new(),
            on_compile: None,
        }
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("mounts", &self.mounts()).finish_non_exhaustive()
    }
}
