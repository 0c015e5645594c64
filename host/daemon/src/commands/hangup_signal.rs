//! SIGHUP, which does not end `keyward serve`.

use std::convert::Infallible;

use crate::audit_file::AuditFile;
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

    /// Reopens the audit file at each signal, for as long as this is polled.
    pub(super) async fn reopen(&mut self, audit: Option<&AuditFile>) -> Infallible {
        loop {
            self.wait().await;
            let Some(file) = audit else {
                tracing::info!("SIGHUP is ignored: the audit does not go to a file");
                continue;
            };
            let path = file.path().display();
            match file.reopen() {
                Ok(()) => tracing::info!("SIGHUP: reopened the audit file {path}"),
                Err(error) => tracing::error!(
                    "SIGHUP: cannot reopen the audit file {path}, and the open one stays in use: \
                     {error}"
                ),
            }
        }
    }

    #[cfg(unix)]
    async fn wait(&mut self) {
        // `None` never comes: the stream has no end.
        self.hangup.recv().await;
    }

    #[cfg(not(unix))]
    async fn wait(&mut self) {
        std::future::pending().await
    }
}
