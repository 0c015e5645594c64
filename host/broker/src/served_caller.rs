//! The callers that a running mount serves: what each may do, and how much of the mount it has.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use keyward_policy::callers::{CallerDenied, CallerRule, CallerRules, MountCallers};
use keyward_policy::config::{Limits, Rate};
use keyward_policy::request_head::RequestHead;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::caller::Caller;
use crate::concurrency_limit::{AcquireError, ConcurrencyLimit};
use crate::error::CallError;
use crate::running_grant::RunningGrant;

/// The callers of a mount.
pub(crate) struct ServedCallers {
    named: HashMap<Arc<str>, Arc<ServedCaller>>,
    /// Every other caller; one without grants if the mount does not serve them.
    others: Arc<ServedCaller>,
    /// The rules that `named` was made of; `None` if the mount serves every caller.
    rules: Option<MountCallers>,
}

/// A caller of a mount.
pub(crate) struct ServedCaller {
    /// `None` for every caller, without sections of callers.
    rules: Option<CallerRules>,
    /// The mount's grants, on the caller's behalf.
    grants: Vec<RunningGrant>,
    rate: Option<RateLimiter<NotKeyed, InMemoryState, MonotonicClock>>,
    permits: Option<ConcurrencyLimit>,
}

/// How long a call waits for permits to run.
#[derive(Clone, Copy)]
pub(crate) struct Wait {
    /// How long from its beginning.
    pub(crate) time: Duration,
    /// Until when.
    pub(crate) deadline: Instant,
}

impl ServedCallers {
    /// The callers of a mount with these grants.
    pub(crate) fn new(
        rules: Option<MountCallers>,
        grants: &[RunningGrant],
        limits: &Limits,
    ) -> Self {
        let nobody = || ServedCaller { rules: None, grants: Vec::new(), rate: None, permits: None };
        let Some(rules) = rules else {
            let everybody = ServedCaller { grants: grants.to_vec(), ..nobody() };
            return Self { named: HashMap::new(), others: Arc::new(everybody), rules: None };
        };
        let served = |rules: &CallerRules| Arc::new(ServedCaller::new(rules, grants, limits));
        let (others, named): (Vec<_>, Vec<_>) =
            rules.iter().partition(|rules| &*rules.name == keyward_policy::config::caller::OTHERS);
        let named = named.into_iter().map(|rules| (Arc::clone(&rules.name), served(rules)));
        Self {
            named: named.collect(),
            others: others.first().map_or_else(|| Arc::new(nobody()), |rules| served(rules)),
            rules: Some(rules),
        }
    }

    /// The caller of this name, or the one for all callers that the mount does not name. It has no
    /// grants if the mount does not serve it.
    pub(crate) fn get(&self, name: Option<&Arc<str>>) -> Arc<ServedCaller> {
        let named = name.and_then(|name| self.named.get(name));
        Arc::clone(named.unwrap_or(&self.others))
    }

    /// Checks that the mount serves a caller of this name.
    pub(crate) fn check(&self, name: Option<&Arc<str>>) -> Result<(), CallerRule> {
        self.rules.as_ref().map_or(Ok(()), |rules| rules.rules(name).map(|_| ()))
    }
}

impl ServedCaller {
    fn new(rules: &CallerRules, grants: &[RunningGrant], limits: &Limits) -> Self {
        let narrowed = |grant: &RunningGrant| match rules.narrowed(grant) {
            Some(narrowed) => grant.with(narrowed),
            None => grant.clone(),
        };
        let all = NonZeroU32::new(limits.concurrency).unwrap_or(NonZeroU32::MIN);
        // As much of the queue as of the permits.
        let queue = u64::from(limits.queue) * u64::from(rules.concurrency) / u64::from(all.get());
        let queue = u32::try_from(queue).unwrap_or(limits.queue).max(1);
        Self {
            grants: grants.iter().map(narrowed).collect(),
            rate: rules.rate.map(limiter),
            permits: Some(ConcurrencyLimit::of(rules.concurrency, queue)),
            rules: Some(rules.clone()),
        }
    }

    /// The mount's grants, on the caller's behalf.
    pub(crate) fn grants(&self) -> &[RunningGrant] {
        &self.grants
    }

    /// Checks the caller's own request, whose path follows the mount's name.
    pub(crate) fn check_request(
        &self,
        head: &RequestHead<'_>,
        path: &str,
    ) -> Result<(), CallerRule> {
        let Some(rules) = &self.rules else { return Ok(()) };
        rules.check(head, path, &self.grants).map(|_| ())
    }

    /// Counts a call against the caller's rate, and waits until fewer of its calls run than may.
    /// `None` if the caller has no limits of its own.
    pub(crate) async fn acquire(
        &self,
        mount: &str,
        caller: &Caller,
        wait: Wait,
    ) -> Result<Option<OwnedSemaphorePermit>, CallError> {
        let (Some(rules), Some(permits)) = (&self.rules, &self.permits) else { return Ok(None) };
        self.check_rate(mount, caller, rules)?;
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

    fn check_rate(
        &self,
        mount: &str,
        caller: &Caller,
        rules: &CallerRules,
    ) -> Result<(), CallError> {
        let (Some(limiter), Some(rate)) = (&self.rate, rules.rate) else { return Ok(()) };
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
