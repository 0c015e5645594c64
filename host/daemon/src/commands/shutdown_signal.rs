//! Shutdown signals: SIGTERM and SIGINT.

use crate::exit::Failure;

/// Waits for SIGTERM or SIGINT; for Ctrl-C on systems without these.
pub(super) struct ShutdownSignal {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl ShutdownSignal {
    /// Installs the handlers. Signals that arrive before [`wait`](Self::wait) are not lost.
    #[cfg(unix)]
    pub(super) fn install() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let terminate = signal(SignalKind::terminate()).map_err(Failure::system)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(Failure::system)?;
        Ok(Self { terminate, interrupt })
    }

    #[cfg(not(unix))]
    pub(super) fn install() -> Result<Self, Failure> {
        Ok(Self {})
    }

    /// Waits for a signal, and returns its name.
    #[cfg(unix)]
    pub(super) async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    #[cfg(not(unix))]
    pub(super) async fn wait(&mut self) -> &'static str {
        drop(tokio::signal::ctrl_c().await);
        "Ctrl-C"
    }
}
