//! A guest at work, held by whoever waits for its answer.

use tokio::task::AbortHandle;

/// Stops the guest when it is dropped.
pub(crate) struct Guest(Option<AbortHandle>);

impl Guest {
    pub(super) fn new(task: AbortHandle) -> Self {
        Self(Some(task))
    }

    /// Lets it do what it still wants to do, within its limits.
    pub(crate) fn let_finish(mut self) {
        self.0 = None;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}
