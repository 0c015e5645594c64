//! The callers that a running mount serves: what each may do, and how much of the mount it has.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use keyward_policy::callers::{CallerDenied, CallerRule, CallerRules, MountCallers};
use keyward_policy::config::caller::OTHERS;
use keyward_policy::config::{Limits, PoolConfig, Rate};
use keyward_policy::request_head::RequestHead;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::caller::Caller;
use crate::concurrency_limit::{AcquireError, ConcurrencyLimit};
use crate::error::CallError;
use crate::running_grant::RunningGrant;

/// The callers of a mount.
pub(crate) struct ServedCallers {
    named: HashMap<Arc<str>, Arc<ServedCaller>>,
    /// Every other caller; `None` if the mount does not serve them.
    others: Option<Arc<ServedCaller>>,
}

/// A caller of a mount.
pub(crate) struct ServedCaller {
    /// The mount's grants, on the caller's behalf.
    grants: Vec<RunningGrant>,
    /// `None` without sections of callers: then every caller is this one, and has all of the mount.
    own: Option<Own>,
}

/// What a caller has of a mount.
struct Own {
    rules: CallerRules,
    rate: Option<RateLimiter<NotKeyed, InMemoryState, MonotonicClock>>,
    permits: ConcurrencyLimit,
    /// Its part of the mount's database connections.
    connections: Arc<Semaphore>,
    most_connections: u32,
}

/// How long a call waits for permits to run.
#[derive(Clone, Copy)]
pub(crate) struct Wait {
    /// How long from its beginning.
    pub(crate) time: Duration,
    /// Until when.
    pub(crate) deadline: Instant,
}

/// A caller has as many database connections as it may.
#[derive(Debug)]
pub(crate) struct ConnectionsTaken {
    /// The caller's name.
    pub(crate) name: Arc<str>,
    /// How many it has.
    pub(crate) most: u32,
}

impl ServedCallers {
    /// The callers of a mount with these grants.
    pub(crate) fn new(
        rules: Option<MountCallers>,
        grants: &[RunningGrant],
        limits: &Limits,
        pool: PoolConfig,
    ) -> Self {
        let Some(rules) = rules else {
            let everybody = ServedCaller { grants: grants.to_vec(), own: None };
            return Self { named: HashMap::new(), others: Some(Arc::new(everybody)) };
        };
        let served = |rules: &CallerRules| Arc::new(ServedCaller::new(rules, grants, limits, pool));
        let (others, named): (Vec<_>, Vec<_>) =
            rules.iter().partition(|rules| &*rules.name == OTHERS);
        let named = named.into_iter().map(|rules| (Arc::clone(&rules.name), served(rules)));
        Self { named: named.collect(), others: others.first().map(|rules| served(rules)) }
    }

    /// The caller of this name, or the one for all callers that the mount does not name.
    ///
    /// # Errors
    ///
    /// The mount does not serve it.
    pub(crate) fn get(&self, name: Option<&Arc<str>>) -> Result<Arc<ServedCaller>, CallerRule> {
        let named = name.and_then(|name| self.named.get(name));
        named.or(self.others.as_ref()).cloned().ok_or_else(|| match name {
            Some(name) => CallerRule::NotServed(Arc::clone(name)),
            None => CallerRule::Unknown,
        })
    }
}

impl ServedCaller {
    fn new(
        rules: &CallerRules,
        grants: &[RunningGrant],
        limits: &Limits,
        pool: PoolConfig,
    ) -> Self {
        let narrowed = |grant: &RunningGrant| match rules.narrowed(grant) {
            Some(narrowed) => grant.with(narrowed),
            None => grant.clone(),
        };
        let all = NonZeroU32::new(limits.concurrency).unwrap_or(NonZeroU32::MIN);
        // As much of the queue, and of the database connections, as of the permits.
        let share = |whole: u32| {
            let share = u64::from(whole) * u64::from(rules.concurrency) / u64::from(all.get());
            u32::try_from(share).unwrap_or(whole).max(1)
        };
        let most_connections = share(pool.connections);
        Self {
            grants: grants.iter().map(narrowed).collect(),
            own: Some(Own {
                rate: rules.rate.map(limiter),
                permits: ConcurrencyLimit::of(rules.concurrency, share(limits.queue)),
                connections: Arc::new(Semaphore::new(most_connections as usize)),
                most_connections,
                rules: rules.clone(),
            }),
        }
    }

    /// The mount's grants, on the caller's behalf.
    pub(crate) fn grants(&self) -> &[RunningGrant] {
        &self.grants
    }

    /// The caller's name, if its own `allow` narrows the mount's.
    pub(crate) fn narrowed_for(&self) -> Option<&Arc<str>> {
        let rules = &self.own.as_ref()?.rules;
        rules.allow.as_ref().map(|_| &rules.name)
    }

    /// Checks the caller's own request, whose path follows the mount's name. `own_url` is where
    /// callers reach the mount.
    pub(crate) fn check_request(
        &self,
        head: &RequestHead<'_>,
        path: &str,
        own_url: Option<&str>,
    ) -> Result<(), CallerRule> {
        let Some(Own { rules, .. }) = &self.own else { return Ok(()) };
        rules.check(head, path, &self.grants)?;
        rules.check_fields(head, &self.grants, own_url)
    }

    /// Waits until fewer of the caller's calls run than may. `None` if the caller has no limits of
    /// its own.
    pub(crate) async fn acquire(
        &self,
        mount: &str,
        caller: &Caller,
        wait: Wait,
    ) -> Result<Option<OwnedSemaphorePermit>, CallError> {
        let Some(Own { rules, permits, .. }) = &self.own else { return Ok(None) };
        let busy = |refused| CallError::CallerBusy {
            mount: mount.to_owned(),
            name: Arc::clone(&rules.name),
            caller: caller.clone(),
            concurrency: rules.concurrency,
            waited: match refused {
                AcquireError::QueueFull => None,
                AcquireError::TimedOut => Some(wait.time),
            },
        };
        Ok(Some(permits.acquire(wait.deadline).await.map_err(busy)?))
    }

    /// Counts a call that begins against the caller's rate.
    pub(crate) fn check_rate(&self, mount: &str, caller: &Caller) -> Result<(), CallError> {
        let Some(Own { rules, rate: Some(limiter), .. }) = &self.own else { return Ok(()) };
        let Some(rate) = rules.rate else { return Ok(()) };
        limiter.check().map_err(|until| {
            let wait = until.wait_time_from(limiter.clock().now());
            CallError::RateLimited {
                mount: mount.to_owned(),
                name: Arc::clone(&rules.name),
                caller: caller.clone(),
                rate,
                retry_after: Duration::from_secs(wait.as_secs() + 1),
            }
        })
    }

    /// Waits until the caller has fewer database connections than it may. `None` if it may have all
    /// of the mount's.
    pub(crate) async fn acquire_connection(
        &self,
        wait: Duration,
    ) -> Result<Option<OwnedSemaphorePermit>, ConnectionsTaken> {
        let Some(Own { rules, connections, most_connections, .. }) = &self.own else {
            return Ok(None);
        };
        let permit = Arc::clone(connections).acquire_owned();
        match tokio::time::timeout(wait, permit).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => {
                let (name, most) = (Arc::clone(&rules.name), *most_connections);
                Err(ConnectionsTaken { name, most })
            }
        }
    }
}

fn limiter(rate: Rate) -> RateLimiter<NotKeyed, InMemoryState, MonotonicClock> {
    let each = rate.per.duration() / rate.calls.get();
    // More than a million in a second, which the configuration does not allow.
    let quota = Quota::with_period(each).unwrap_or(Quota::per_second(rate.calls));
    RateLimiter::direct_with_clock(quota.allow_burst(rate.calls), MonotonicClock)
}

/// The error of a call that a mount does not serve.
pub(crate) fn denied(mount: &str, caller: &Caller, rule: CallerRule) -> CallError {
    let (mount, caller) = (mount.to_owned(), caller.clone());
    CallError::CallerDenied(Box::new(CallerDenied { mount, caller, rule }))
}
