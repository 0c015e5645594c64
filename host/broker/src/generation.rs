//! A generation: the mounts and identities that one plan is made into.
//!
//! A reload makes the next generation from the running one. What did not change is the same object
//! in both, so that it keeps its connections, tokens, permits and calls. Of a mount that changed,
//! the sandboxes and the permits are kept unless its plugin or its limits changed.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use keyward_identity::TokenCache;
use keyward_identity::clock::Clock;
use wasmtime_wasi_config::WasiConfigVariables;

use crate::concurrency_limit::ConcurrencyLimit;
use crate::database_pool::{self, DatabasePool};
use crate::identities::{Identities, Sources};
use crate::lock::Locks;
use crate::mount::Mount;
use crate::redact::KnownTokens;
use crate::reloaded::Changes;
use crate::running_calls::RunningCalls;
use crate::running_grant::RunningGrant;
use crate::sandbox::{self, CompileEvent, Engine, MOST_SANDBOXES, Reduced, Template, Templates};
use crate::seal::{ResponseCache, StateKey};
use crate::served_caller::ServedCallers;
use crate::start_error::StartError;
use crate::stopping::Stopping;
use crate::upstream::{Client, Connector, Resolve, Trust};
use keyward_policy::callers::Callers;
use keyward_policy::config::{CompileCache, Config};
use keyward_policy::endpoint::Protocol;
use keyward_policy::grant::Grant;
use keyward_policy::plan::{Plan, PlannedMount};

/// What all generations of a broker share.
pub(crate) struct Shared {
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Token sources of the embedding service.
    pub(crate) sources: Sources,
    pub(crate) locks: Arc<Locks>,
    pub(crate) stopping: Arc<Stopping>,
}

/// The mounts and identities of one plan.
pub(crate) struct Generation {
    pub(crate) mounts: HashMap<String, Arc<Entry>>,
    pub(crate) callers: Callers,
    pub(crate) identities: Identities,
    trust: Trust,
}

/// A mount, with what its sandboxes are made of.
pub(crate) struct Entry {
    pub(crate) mount: Arc<Mount>,
    pub(crate) template: Template,
    made_from: MountInputs,
}

/// What a mount is made from, beside its identity and the trust anchors.
#[derive(PartialEq, Eq)]
struct MountInputs {
    /// Its plan, as it was before its concurrency was lowered to what fits. The component's bytes
    /// are not kept.
    planned: PlannedMount,
    /// The addresses that it connects to in place of DNS.
    pinned: BTreeMap<(String, u16), SocketAddr>,
    connect_timeout: Duration,
}

/// What differs between two generations.
#[derive(Default)]
pub(crate) struct Difference {
    pub(crate) mounts: Changes,
    pub(crate) identities: Changes,
    pub(crate) callers: bool,
    pub(crate) trust_anchors: bool,
}

impl Generation {
    /// Makes the mounts and identities of a plan. Those of `previous` that did not change are
    /// reused.
    pub(crate) fn new(
        plan: Plan,
        previous: Option<&Self>,
        shared: &Shared,
        on_compile: Option<&mut dyn FnMut(CompileEvent<'_>)>,
    ) -> Result<(Self, Difference), StartError> {
        let Plan { mounts: planned, callers, config } = plan;
        check_count(&planned)?;
        let trust = Trust::load(&config.tls)?;
        let (trust, trust_anchors) = match previous {
            Some(previous) if previous.trust.has_same_anchors(&trust) => {
                (previous.trust.clone(), false)
            }
            Some(_) => (trust, true),
            None => (trust, false),
        };
        let (identities, changed_identities) = Identities::new(
            &config,
            &trust,
            trust_anchors,
            previous.map(|previous| &previous.identities),
            (&shared.clock, &shared.sources),
        )?;
        let mut changes = Changes::default();
        let (mut mounts, mut fresh) = (HashMap::new(), Vec::new());
        let factory =
            MountFactory { config: &config, trust: &trust, identities: &identities, shared };
        for planned in planned {
            let inputs = MountInputs::of(&planned, &config);
            let before = previous.and_then(|previous| previous.mounts.get(&planned.name));
            let Some(before) = before else {
                changes.added.push(planned.name.clone());
                fresh.push((planned, inputs));
                continue;
            };
            let is_unchanged = before.made_from == inputs
                && !trust_anchors
                && changed_identities.unchanged.contains(&planned.identity);
            let entry = if is_unchanged {
                changes.unchanged.push(planned.name.clone());
                Arc::clone(before)
            } else {
                changes.changed.push(planned.name.clone());
                if !before.has_sandboxes_for(&planned) {
                    fresh.push((planned, inputs));
                    continue;
                }
                // Its concurrency may be lower than the configuration's, to fit.
                let planned = PlannedMount { limits: before.mount.limits, ..planned };
                let mount = factory.mount(planned, Arc::clone(&before.mount.permits))?;
                let template = before.template.clone();
                Arc::new(Entry { mount: Arc::new(mount), template, made_from: inputs })
            };
            mounts.insert(entry.mount.name.clone(), entry);
        }
        mounts.extend(factory.with_sandboxes(fresh, on_compile)?);
        if let Some(previous) = previous {
            let removed = previous.mounts.keys().filter(|name| !mounts.contains_key(*name));
            changes.removed.extend(removed.cloned());
            changes.removed.sort();
        }
        let difference = Difference {
            mounts: changes,
            identities: changed_identities,
            callers: previous.is_some_and(|previous| !previous.callers.match_the_same(&callers)),
            trust_anchors,
        };
        Ok((Self { mounts, callers, identities, trust }, difference))
    }
}

/// Checks that the calls of all mounts together are not more than a process can hold.
fn check_count(mounts: &[PlannedMount]) -> Result<(), StartError> {
    let wanted =
        mounts.iter().fold(0_u32, |sum, mount| sum.saturating_add(mount.limits.concurrency));
    if wanted > MOST_SANDBOXES {
        return Err(StartError::TooManySandboxes { wanted, most: MOST_SANDBOXES });
    }
    Ok(())
}

impl Entry {
    /// Whether its sandboxes fit a mount that replaces it.
    fn has_sandboxes_for(&self, planned: &PlannedMount) -> bool {
        let own = &self.made_from.planned;
        own.plugin.sha256 == planned.plugin.sha256 && own.limits == planned.limits
    }
}

impl MountInputs {
    fn of(planned: &PlannedMount, config: &Config) -> Self {
        let mut kept = planned.clone();
        kept.plugin.component = b"".as_slice().into();
        let grants = &planned.grants;
        let reaches = |host: &str, port: u16| {
            grants.iter().any(|grant| {
                let endpoints = grant.redirects.iter().map(|redirect| &redirect.endpoint);
                let mut endpoints = endpoints.chain([&grant.endpoint]);
                // Which nodes of a service there are is known only when it names them.
                grant.redirect_nodes.is_some()
                    || endpoints.any(|endpoint| endpoint.host == host && endpoint.port == port)
            })
        };
        let pinned = config.egress.resolve.iter();
        let pinned = pinned.filter(|((host, port), _)| reaches(host, *port));
        Self {
            planned: kept,
            pinned: pinned.map(|(name, address)| (name.clone(), *address)).collect(),
            connect_timeout: config.egress.connect_timeout,
        }
    }
}

/// Makes mounts.
struct MountFactory<'c> {
    config: &'c Config,
    trust: &'c Trust,
    identities: &'c Identities,
    shared: &'c Shared,
}

impl MountFactory<'_> {
    /// Makes mounts with sandboxes of their own.
    fn with_sandboxes(
        &self,
        fresh: Vec<(PlannedMount, MountInputs)>,
        on_compile: Option<&mut dyn FnMut(CompileEvent<'_>)>,
    ) -> Result<Vec<(String, Arc<Entry>)>, StartError> {
        if fresh.is_empty() {
            return Ok(Vec::new());
        }
        let (mut planned, inputs): (Vec<_>, Vec<_>) = fresh.into_iter().unzip();
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
        let directory = match &self.config.compile_cache {
            CompileCache::Directory(directory) => Some(directory.as_path()),
            CompileCache::Unset | CompileCache::Off => None,
        };
        let mut templates = Templates::new(&engine, directory, on_compile)?;
        let mut entries = Vec::new();
        for (planned, made_from) in planned.into_iter().zip(inputs) {
            let template = templates.template(&planned.plugin)?;
            let limits = &planned.limits;
            let permits = Arc::new(ConcurrencyLimit::of(limits.concurrency, limits.queue));
            let mount = self.mount(planned, permits)?;
            let name = mount.name.clone();
            entries.push((name, Arc::new(Entry { mount: Arc::new(mount), template, made_from })));
        }
        Ok(entries)
    }

    fn mount(
        &self,
        planned: PlannedMount,
        permits: Arc<ConcurrencyLimit>,
    ) -> Result<Mount, StartError> {
        let tls = self.trust.client().map_err(|error| StartError::Tls(error.to_string()))?;
        let resolver = Arc::clone(&self.shared.resolver);
        let egress = &self.config.egress;
        let pinned = Arc::new(egress.resolve.clone());
        let connector = Connector::new(tls, resolver, pinned, egress.connect_timeout);
        let client = Client::new(&connector);
        let databases = self.databases(&planned, connector)?;
        let identity = self.identities.cache(&planned.identity);
        let identity = identity.ok_or_else(|| StartError::Internal {
            what: format!("the plan has no identity `{}`", planned.identity),
        })?;
        Ok(mount(planned, identity, (client, databases), permits, self.shared))
    }

    /// The pool of database connections of a mount that may have some.
    fn databases(
        &self,
        planned: &PlannedMount,
        connector: Connector,
    ) -> Result<Option<DatabasePool>, StartError> {
        if planned.grants.iter().all(|grant| grant.endpoint.protocol != Protocol::SqlServer) {
            return Ok(None);
        }
        let tls = self.trust.database_client();
        let tls = tls.map_err(|error| StartError::Tls(error.to_string()))?;
        let timeout = self.config.egress.connect_timeout;
        let clock = Arc::clone(&self.shared.clock);
        Ok(Some(database_pool::pool(connector, tls, timeout, planned.pool, clock)))
    }
}

fn mount(
    planned: PlannedMount,
    identity: &TokenCache,
    (client, databases): (Client, Option<DatabasePool>),
    permits: Arc<ConcurrencyLimit>,
    shared: &Shared,
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
        permits,
        limits: planned.limits,
        sealed_responses: ResponseCache::default(),
        known_tokens: KnownTokens::default(),
        states: StateKey::default(),
        client,
        databases,
        database_wait: planned.pool.wait,
        running: RunningCalls::default(),
        locks: Arc::clone(&shared.locks),
        stopping: Arc::clone(&shared.stopping),
    }
}
