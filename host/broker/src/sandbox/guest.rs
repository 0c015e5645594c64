//! A guest at work, held by whoever waits for the rest of its response.

use std::pin::Pin;

use tokio::task::AbortHandle;

/// Stops the guest when it is dropped.
pub(crate) struct Guest(Option<AbortHandle>);

impl Guest {
    /// One that has done all that it wanted.
    pub(super) fn ended() -> Self {
        Self(None)
    }

    /// One that goes on, in a task of its own.
    #[allow(clippy::disallowed_methods, reason = "it is aborted on drop")]
    pub(super) fn in_task(life: Pin<Box<dyn Future<Output = ()> + Send>>) -> Self {
        Self(Some(tokio::spawn(life).abort_handle()))
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
