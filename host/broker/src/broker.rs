//! The broker: mounts at work.

mod locks;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use keyward_identity::cache::{Persistence, Statistics};
use keyward_identity::clock::{Clock, SystemClock};
use keyward_identity::{Audience, TokenCache, TokenSource};
use wasmtime_wasi_config::WasiConfigVariables;

use crate::audit::{AuditSink, Record};
use crate::body::Body;
use crate::call::Call;
use crate::concurrency_limit::ConcurrencyLimit;
use crate::database_pool::{self, DatabasePool};
use crate::error::CallError;
use crate::hand_out;
use crate::identities::{self, Identities};
use crate::lock::{Lock, Locks};
use crate::mount::Mount;
use crate::problem::problem;
use crate::redact::KnownTokens;
use crate::rejection::{RejectedRequest, Rejection};
use crate::request::{PublicUrl, prepare};
use crate::running_calls::RunningCalls;
use crate::running_grant::RunningGrant;
use crate::sandbox::{self, CompileEvent, Engine, Reduced, Template, Templates};
use crate::seal::{ResponseCache, StateKey};
use crate::served_caller::{self, ServedCaller, ServedCallers};
use crate::start_error::StartError;
use crate::upstream::{Client, Connector, Resolve, SystemResolver, Trust};
use keyward_policy::caller::Caller;
use keyward_policy::callers::Callers;
use keyward_policy::config::CompileCache;
use keyward_policy::endpoint::Protocol;
use keyward_policy::grant::Grant;
use keyward_policy::plan::{Plan, PlannedMount};
use keyward_policy::request_head::RequestHead;

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
    mounts: HashMap<String, Entry>,
    callers: Callers,
    identities: BTreeMap<String, TokenCache>,
    /// Where tokens survive a restart.
    files: Vec<Persistence>,
    locks: Arc<Locks>,
    audit: Arc<dyn AuditSink>,
    /// Its clock ticks as long as it is held.
    _engine: Engine,
    /// The beginning of all calls' numbers: another one for each broker.
    number: u32,
    calls: AtomicU64,
}

/// A mount, with what its sandboxes are made of.
struct Entry {
    mount: Arc<Mount>,
    template: Template,
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
        let Plan { mounts: mut planned, callers, config } = plan;
        let trust = Trust::load(&config.tls)?;
        let Identities { caches: identities, files } =
            identities::caches(&config, &trust, &options.clock, &options.sources)?;
        if let Some(Reduced { wanted, fits, limit }) = sandbox::fit(&mut planned) {
            let limit = limit >> 20;
            tracing::warn!(
                "the address space of this process is limited to {limit} MiB (`ulimit -v`), so at \
                 most {fits} calls run at once, where the configuration allows {wanted}; the \
                 others wait. Raise the limit, or lower `memory` or `concurrency` in \
                 [mount.NAME.limits]"
            );
        }
        let engine = Engine::new(&planned)?;
        let directory = match &config.compile_cache {
            CompileCache::Directory(directory) => Some(directory.as_path()),
            CompileCache::Unset | CompileCache::Off => None,
        };
        let mut templates = Templates::new(&engine, directory, options.on_compile)?;
        let pinned = Arc::new(config.egress.resolve.clone());

        let locks = Arc::new(Locks::default());
        let mut mounts = HashMap::new();
        for planned in planned {
            let template = templates.template(&planned.plugin)?;
            let tls = trust.client().map_err(|error| StartError::Tls(error.to_string()))?;
            let resolver = Arc::clone(&options.resolver);
            let connector =
                Connector::new(tls, resolver, Arc::clone(&pinned), config.egress.connect_timeout);
            let client = Client::new(&connector);
            let databases =
                planned.grants.iter().any(|grant| grant.endpoint.protocol == Protocol::SqlServer);
            let databases = databases.then(|| {
                let tls =
                    trust.database_client().map_err(|error| StartError::Tls(error.to_string()))?;
                let timeout = config.egress.connect_timeout;
                let clock = Arc::clone(&options.clock);
                Ok::<_, StartError>(database_pool::pool(
                    connector,
                    tls,
                    timeout,
                    planned.pool,
                    clock,
                ))
            });
            let databases = databases.transpose()?;
            let identity = identities.get(&planned.identity);
            let identity = identity.ok_or_else(|| StartError::Internal {
                what: format!("the plan has no identity `{}`", planned.identity),
            })?;
            let mount = Arc::new(mount(planned, identity, client, databases, &locks));
            mounts.insert(mount.name.clone(), Entry { mount, template });
        }
        let number = rand::random::<u32>();
        let calls = AtomicU64::new(0);
        let broker = Self(Arc::new(Inner {
            mounts,
            callers,
            identities,
            files,
            locks,
            audit: options.audit,
            _engine: engine,
            number,
            calls,
        }));
        broker.start_locked(options.locks);
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
        let Some(Entry { mount, template }) = self.0.mounts.get(mount) else {
            return Err(self.unknown_mount(id, mount, caller, &request));
        };
        let audit = Arc::clone(&self.0.audit);
        let name = self.0.callers.find(caller);
        let call = Call::new(id.0.clone(), Arc::clone(mount), audit, caller, name, &request);
        let answered = self.answer(&call, template, request).await;
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
        template: &Template,
        request: Request<B>,
    ) -> Result<Response<Body>, CallError>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        call.check_lock()?;
        let served = check_caller(call, &request)?;
        let (request, scheme) = prepare(call, request)?;
        let exports = hand_out::is_requested(call, &request)?;
        if exports {
            call.set_exporting();
        }
        let permit = tokio::select! {
            biased;
            permit = call.mount().acquire(served, call.caller()) => permit?,
            error = call.ended_by_lock() => return Err(error),
        };
        call.check_lock()?;
        let answered = sandbox::run(call, template, request, scheme, permit).await?;
        let response = Body::from_plugin(answered, Arc::clone(call));
        if exports { hand_out::unseal(call, response).await } else { Ok(response) }
    }

    /// The name of the section `[caller.NAME]` that matches a caller.
    #[must_use]
    pub fn caller_name(&self, caller: &Caller) -> Option<&str> {
        self.0.callers.find(caller).map(|name| &**name)
    }

    /// Whether there is a mount of this name.
    pub(crate) fn has_mount(&self, name: &str) -> bool {
        self.0.mounts.contains_key(name)
    }

    /// The mounts' names, in their order.
    #[must_use]
    pub fn mounts(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.mounts.keys().cloned().collect();
        names.sort();
        names
    }

    /// How often each token of each identity was asked for and fetched.
    #[must_use]
    pub fn token_statistics(&self) -> BTreeMap<String, Vec<Statistics>> {
        self.0.identities.iter().map(|(name, cache)| (name.clone(), cache.statistics())).collect()
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
        let Some(cache) = self.0.identities.get(identity) else { return Ok(None) };
        let forgotten = cache.forget(audience);
        for file in self.0.files.clone() {
            flush(file).await?;
        }
        tracing::info!(identity, count = forgotten.len(), "forgot tokens");
        Ok(Some(forgotten))
    }

    /// Waits until no call runs any more, and what is kept on disk is there. Calls that begin
    /// meanwhile wait, and are never run.
    pub async fn drain(&self) {
        for Entry { mount, .. } in self.0.mounts.values() {
            mount.permits.close(mount.limits.concurrency).await;
        }
        for file in self.0.files.clone() {
            if let Err(error) = flush(file).await {
                tracing::warn!(%error, "the tokens could not be kept on disk");
            }
        }
    }
}

/// Waits until what is kept on disk is there.
async fn flush(file: Persistence) -> std::io::Result<()> {
    tokio::task::spawn_blocking(move || file.flush()).await.map_err(std::io::Error::other)?
}

fn mount(
    planned: PlannedMount,
    identity: &TokenCache,
    client: Client,
    databases: Option<DatabasePool>,
    locks: &Arc<Locks>,
) -> Mount {
    let sum: String = planned.plugin.sha256.chars().take(12).collect();
    let with_token = |grant: Grant| {
        let token = identity.audience(&grant.audience);
        RunningGrant::new(grant, token)
    };
    let mut variables = WasiConfigVariables::new();
    for (name, value) in planned.variables {
        variables.insert(name, value);
    }
    let grants: Vec<RunningGrant> = planned.grants.into_iter().map(with_token).collect();
    Mount {
        name: planned.name,
        plugin: format!("{}@{sum}", planned.manifest.name).into(),
        identity: planned.identity,
        manifest: planned.manifest,
        callers: ServedCallers::new(planned.callers, &grants, &planned.limits, planned.pool),
        grants,
        variables,
        permits: ConcurrencyLimit::of(planned.limits.concurrency, planned.limits.queue),
        limits: planned.limits,
        sealed_responses: ResponseCache::default(),
        known_tokens: KnownTokens::default(),
        states: StateKey::default(),
        client,
        databases,
        database_wait: planned.pool.wait,
        running: RunningCalls::default(),
        locks: Arc::clone(locks),
    }
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
