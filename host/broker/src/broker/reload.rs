//! Replacing the plan of a running broker.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::Broker;
use crate::error::CutOff;
use crate::generation::{Difference, Generation};
use crate::reloaded::Reloaded;
use crate::sandbox::CompileEvent;
use crate::start_error::StartError;
use keyward_policy::plan::Plan;

/// How often it is checked whether replaced mounts still have calls.
const POLL: Duration = Duration::from_millis(20);

impl Broker {
    /// Replaces the plan: calls that begin from now on go by the new one, and those that run finish
    /// by theirs. [`end_replaced`](Self::end_replaced) bounds how long they may take.
    ///
    /// Certificates, keys of token files, and files of trust anchors are read again. A mount that
    /// did not change keeps its connections, compiled plugin, limits and calls, and an identity its
    /// tokens. A mount that changed keeps its compiled plugin, and calls by the former plan count
    /// for its `concurrency`, unless its plugin or its limits changed. Locks stay in force.
    ///
    /// Compiles what is new before anything changes, which takes up to a second for each plugin that
    /// is not in the compile cache: call it where blocking is allowed, within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start). The broker goes on with the plan that it has.
    pub fn reload(&self, plan: Plan) -> Result<Reloaded, StartError> {
        self.reload_with(plan, None)
    }

    /// The same. `on_compile` is called when a plugin is compiled.
    ///
    /// # Errors
    ///
    /// As [`reload`](Self::reload).
    pub fn reload_with(
        &self,
        plan: Plan,
        on_compile: Option<&mut dyn FnMut(CompileEvent<'_>)>,
    ) -> Result<Reloaded, StartError> {
        let _one_at_a_time = self.0.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let former = self.0.current.load_full();
        let (next, difference) = Generation::new(plan, Some(&former), &self.0.shared, on_compile)?;
        let next = Arc::new(next);
        {
            // No lock may miss a mount that is in neither place.
            let mut replaced = self.replaced();
            replaced.add(&former, &next);
            self.0.current.store(next);
        }
        drop(former);
        self.replaced().prune();
        let Difference { mounts, identities, callers, trust_anchors } = difference;
        Ok(Reloaded {
            mounts,
            identities,
            callers_changed: callers,
            trust_anchors_changed: trust_anchors,
        })
    }

    /// Waits until the mounts that reloads replaced have no calls any more. Calls that run for
    /// longer than `grace` are ended ([`CallError::CutOff`](crate::CallError::CutOff)). Returns how
    /// many.
    pub async fn end_replaced(&self, grace: Duration) -> usize {
        // Mounts that are replaced later have a time of their own.
        let former: Vec<_> = self.replaced().mounts().map(|mount| Arc::downgrade(&mount)).collect();
        let is_used = || former.iter().any(|mount| mount.strong_count() > 0);
        let ended = async {
            while is_used() {
                tokio::time::sleep(POLL).await;
            }
        };
        let mut cut_off = 0;
        if tokio::time::timeout(grace, ended).await.is_err() {
            for mount in former.iter().filter_map(std::sync::Weak::upgrade) {
                let calls = mount.running.all();
                calls.iter().for_each(|call| call.cut_off(CutOff::Replaced));
                cut_off += calls.len();
            }
        }
        self.replaced().prune();
        cut_off
    }
}
