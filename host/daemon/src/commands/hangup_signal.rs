//! SIGHUP, at which `keyward serve` reloads its configuration.

use crate::exit::Failure;

/// Waits for SIGHUP; for nothing on systems without it.
pub(super) struct HangupSignal {
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl HangupSignal {
    /// Installs the handler. From then on the signal does not end the process.
    #[cfg(unix)]
    pub(super) fn install() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { hangup: signal(SignalKind::hangup()).map_err(Failure::system)? })
    }

    #[cfg(not(unix))]
    pub(super) fn install() -> Result<Self, Failure> {
        Ok(Self {})
    }

    /// Waits for the signal.
    #[cfg(unix)]
    pub(super) async fn wait(&mut self) {
        // `None` never comes: the stream has no end.
        self.hangup.recv().await;
    }

    #[cfg(not(unix))]
    pub(super) async fn wait(&mut self) {
        std::future::pending().await
    }
}
