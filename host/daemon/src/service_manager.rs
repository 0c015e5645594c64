//! What the daemon tells systemd about itself (`sd_notify(3)`). Without `NOTIFY_SOCKET` nothing is
//! sent.

#[cfg(unix)]
pub(crate) use self::unix::{ready, reloading, stopping, watchdog_alive, watchdog_interval};

#[cfg(unix)]
mod unix {
    use std::time::Duration;

    use sd_notify::NotifyState;

    fn notify(states: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(states) {
            tracing::warn!(%error, "cannot notify the service manager");
        }
    }

    /// The daemon serves callers.
    pub(crate) fn ready(status: &str) {
        notify(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// The configuration is being reloaded. [`ready`] ends it.
    pub(crate) fn reloading() {
        let reloading = NotifyState::Reloading;
        // `Type=notify-reload` needs to know when it began.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[reloading, now]),
            Err(error) => tracing::warn!(%error, "cannot notify the service manager"),
        }
    }

    /// The daemon is stopping.
    pub(crate) fn stopping(status: &str) {
        notify(&[NotifyState::Stopping, NotifyState::Status(status)]);
    }

    /// How often [`watchdog_alive`] must be called; `None` without a watchdog.
    pub(crate) fn watchdog_interval() -> Option<Duration> {
        // Twice as often as systemd wants it.
        sd_notify::watchdog_enabled().map(|timeout| timeout / 2)
    }

    /// The daemon is not stuck.
    pub(crate) fn watchdog_alive() {
        notify(&[NotifyState::Watchdog]);
    }
}

#[cfg(not(unix))]
pub(crate) use self::other::{ready, reloading, stopping, watchdog_alive, watchdog_interval};

#[cfg(not(unix))]
mod other {
    use std::time::Duration;

    pub(crate) fn ready(_: &str) {}

    pub(crate) fn reloading() {}

    pub(crate) fn stopping(_: &str) {}

    pub(crate) fn watchdog_interval() -> Option<Duration> {
        None
    }

    pub(crate) fn watchdog_alive() {}
}
