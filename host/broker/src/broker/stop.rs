//! The end of a broker.

use std::time::Duration;

use super::{Broker, flush};
use crate::error::CutOff;

/// How often it is checked whether calls still run.
const POLL: Duration = Duration::from_millis(5);

impl Broker {
    /// Closes the broker, and waits until no call runs any more and its tokens are on disk. A call
    /// that begins meanwhile or later is refused
    /// ([`CallError::Stopping`](crate::CallError::Stopping)); those that run or wait for a permit may
    /// finish.
    pub async fn drain(&self) {
        self.0.shared.stopping.begin();
        while self.count_running() > 0 {
            tokio::time::sleep(POLL).await;
        }
        self.flush_tokens().await;
    }

    /// Closes the broker, as [`drain`](Self::drain) does, and ends all calls
    /// ([`CallError::CutOff`](crate::CallError::CutOff)). Returns how many, without waiting until
    /// they have stopped.
    pub fn cut_off(&self) -> usize {
        self.0.shared.stopping.begin();
        // A call that is not in these lists yet is refused.
        let mounts = self.all_mounts();
        let calls: Vec<_> = mounts.iter().flat_map(|mount| mount.running.all()).collect();
        calls.iter().for_each(|call| call.cut_off(CutOff::Stopping));
        calls.len()
    }

    /// How many calls run or wait, those of mounts that a reload replaced included.
    #[must_use]
    pub fn count_running(&self) -> usize {
        self.all_mounts().iter().map(|mount| mount.running.len()).sum()
    }

    /// Waits until the tokens are on disk.
    pub async fn flush_tokens(&self) {
        for file in self.files() {
            if let Err(error) = flush(file).await {
                tracing::warn!(%error, "the tokens could not be kept on disk");
            }
        }
    }
}
