//! A mount at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use keyward_identity::cache::CachedToken;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_config::WasiConfigVariables;

use crate::config::Limits;
use crate::egress::Client;
use crate::error::CallError;
use crate::grant::Grant;
use crate::manifest::Manifest;
use crate::sandbox::Template;
use crate::seal::{Kept, StateKey};
use crate::sql::DatabasePool;

/// What all calls of a mount share.
pub(crate) struct Mount {
    pub(crate) name: String,
    /// The plugin, for the audit: what the configuration calls it, and the beginning of its sum.
    pub(crate) plugin: Arc<str>,
    pub(crate) manifest: Manifest,
    pub(crate) grants: Vec<Grant>,
    /// The token of each grant, in the order of the grants.
    pub(crate) tokens: Vec<CachedToken>,
    pub(crate) variables: WasiConfigVariables,
    pub(crate) limits: Limits,
    /// Answers with sealed values, for as long as they may be used again.
    pub(crate) kept: Kept,
    /// Seals what its plugin gives to callers and takes back.
    pub(crate) states: StateKey,
    pub(crate) client: Client,
    /// Its connections to databases, where it may have some.
    pub(crate) databases: Option<DatabasePool>,
    pub(crate) template: Template,
    pub(crate) places: Places,
}

/// The places for calls: those that run, and those that wait.
pub(crate) struct Places {
    running: Arc<Semaphore>,
    waiting: AtomicU32,
    most_waiting: u32,
}

impl Places {
    pub(crate) fn new(limits: &Limits) -> Self {
        let running = Arc::new(Semaphore::new(limits.concurrency as usize));
        Self { running, waiting: AtomicU32::new(0), most_waiting: limits.queue }
    }

    /// Waits for a place, where there is one to wait in. The place is held until the permit is dropped.
    pub(crate) async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() {
            return Some(permit);
        }
        let _waiting = Waiting::begin(&self.waiting, self.most_waiting)?;
        // The semaphore is never closed.
        Arc::clone(&self.running).acquire_owned().await.ok()
    }

    /// Waits until no call runs any more, and lets no other begin.
    pub(crate) async fn close(&self, concurrency: u32) {
        drop(self.running.acquire_many(concurrency).await);
    }
}

/// One that waits. Whoever gives up is counted out again.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicU32, most: u32) -> Option<Self> {
        if waiting.fetch_add(1, Ordering::SeqCst) < most {
            return Some(Self(waiting));
        }
        waiting.fetch_sub(1, Ordering::SeqCst);
        None
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Mount {
    pub(crate) fn busy(&self) -> CallError {
        let Limits { concurrency, queue, .. } = self.limits;
        CallError::Busy { mount: self.name.clone(), concurrency, queue }
    }

    /// Whether there is a grant for an audience, by its name in the manifest.
    pub(crate) fn has_grant(&self, audience: &str) -> bool {
        self.grants.iter().any(|grant| *grant.name == *audience)
    }

    /// What a plugin is told that asks for an audience it may not have.
    pub(crate) fn not_granted(&self, audience: &str) -> String {
        format!(
            "the configuration of mount `{}` does not grant the audience `{audience}`. To grant it, add the section \
             [mount.{}.audience.{audience}]",
            self.name,
            crate::config::bare(&self.name)
        )
    }
}
