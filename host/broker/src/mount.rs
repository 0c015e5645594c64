//! A running mount.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use wasmtime_wasi_config::WasiConfigVariables;

use crate::concurrency_limit::{AcquireError, ConcurrencyLimit};
use crate::database_pool::DatabasePool;
use crate::error::CallError;
use crate::lock::Locks;
use crate::redact::{KnownTokens, Scanner, SecretIndex};
use crate::running_calls::RunningCalls;
use crate::running_grant::RunningGrant;
use crate::seal::{ResponseCache, StateKey};
use crate::served_caller::{ServedCaller, ServedCallers, Wait};
use crate::stopping::Stopping;
use crate::upstream::Client;
use keyward_policy::caller::Caller;
use keyward_policy::config::Limits;
use keyward_policy::manifest::Manifest;

/// What all calls of a mount share.
pub(crate) struct Mount {
    pub(crate) name: String,
    /// The plugin, for the audit: what the configuration calls it, and the beginning of its sum.
    pub(crate) plugin: Arc<str>,
    /// The name of its identity.
    pub(crate) identity: String,
    pub(crate) manifest: Manifest,
    pub(crate) grants: Vec<RunningGrant>,
    pub(crate) variables: WasiConfigVariables,
    pub(crate) limits: Limits,
    /// Responses with sealed values, for as long as they may be used again.
    pub(crate) sealed_responses: ResponseCache,
    /// The tokens that its services' responses are searched for.
    pub(crate) known_tokens: KnownTokens,
    /// Seals what its plugin gives to callers and takes back.
    pub(crate) states: StateKey,
    pub(crate) client: Client,
    /// Its connections to databases, where it may have some.
    pub(crate) databases: Option<DatabasePool>,
    /// How long a call waits for one.
    pub(crate) database_wait: Duration,
    /// Shared with mounts that it replaced, if their sandboxes are the same.
    pub(crate) permits: Arc<ConcurrencyLimit>,
    /// The callers that it serves, with the grants of each.
    pub(crate) callers: ServedCallers,
    /// Its calls, so that they can be ended.
    pub(crate) running: RunningCalls,
    /// The broker's locks.
    pub(crate) locks: Arc<Locks>,
    /// Whether the broker still accepts calls.
    pub(crate) stopping: Arc<Stopping>,
}

/// Permits to run a call: the mount's, and the caller's.
pub(crate) struct CallPermit {
    _mount: OwnedSemaphorePermit,
    _caller: Option<OwnedSemaphorePermit>,
}

impl Mount {
    /// Waits for permits to run a call of a caller that it serves.
    pub(crate) async fn acquire(
        &self,
        served: &ServedCaller,
        caller: &Caller,
    ) -> Result<CallPermit, CallError> {
        let time = self.limits.queue_time;
        let wait = Wait { time, deadline: Instant::now() + time };
        let own = served.acquire(&self.name, caller, wait).await?;
        let all = self.permits.acquire(wait.deadline).await;
        let permit =
            CallPermit { _mount: all.map_err(|refused| self.busy(refused))?, _caller: own };
        // Last, so that only calls that begin count.
        served.check_rate(&self.name, caller)?;
        Ok(permit)
    }

    fn busy(&self, refused: AcquireError) -> CallError {
        let mount = self.name.clone();
        let Limits { concurrency, queue, queue_time, .. } = self.limits;
        match refused {
            AcquireError::QueueFull => CallError::Busy { mount, concurrency, queue },
            AcquireError::TimedOut => CallError::Waited { mount, concurrency, waited: queue_time },
        }
    }

    /// Finds the tokens of all its grants in a service's response, and what `also` indexes.
    pub(crate) fn scanner(&self, also: Option<Arc<SecretIndex>>) -> Scanner {
        for grant in &self.grants {
            if let Some(token) = grant.token().peek() {
                self.known_tokens.add(&grant.name, &token);
            }
        }
        Scanner::new([self.known_tokens.index()].into_iter().chain(also))
    }

    /// Drops what it may act with: sealed values, states of its plugin, tokens that responses are
    /// searched for, and connections to databases, those in use when they come back.
    pub(crate) fn drop_credentials(&self) {
        self.sealed_responses.clear();
        self.states.renew();
        self.known_tokens.clear();
        if let Some(databases) = &self.databases {
            databases.close_all();
        }
    }

    /// The grant for an audience, by its name in the manifest.
    pub(crate) fn grant(&self, audience: &str) -> Option<&RunningGrant> {
        self.grants.iter().find(|grant| *grant.name == *audience)
    }

    /// The message for a plugin that requests an audience that is not granted.
    pub(crate) fn not_granted(&self, audience: &str) -> String {
        format!(
            "the configuration of mount `{}` does not grant the audience `{audience}`. To grant \
             it, add the section \
             [mount.{}.audience.{audience}]",
            self.name,
            keyward_policy::text::toml_key(&self.name)
        )
    }
}
