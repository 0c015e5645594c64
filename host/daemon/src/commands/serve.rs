//! `keyward serve`.

use super::start;
use crate::cli::Serve;
use crate::config::DaemonConfig;
use crate::exit::{Exit, Failure};
use crate::listen;

/// How long the end may take once nobody is served any more.
const DRAIN: std::time::Duration = std::time::Duration::from_secs(5);

pub(crate) async fn serve(serve: Serve) -> Result<Exit, Failure> {
    run(DaemonConfig::load(&serve.config)?).await
}

/// Serves what a configuration says, until a signal ends it.
pub(super) async fn run(config: DaemonConfig) -> Result<Exit, Failure> {
    let began = std::time::Instant::now();
    let (plan, listen, audit) = config.plan()?;
    let broker = start::broker(plan, start::audit(&audit)?)?;
    let mut stop = Stop::new()?;
    let listening = listen::open(&listen, broker.clone()).await?;
    let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(mounts = broker.mounts().join(", "), at = listening.places.join(" and "), ms = took, "ready");
    let signal = stop.wait().await;
    tracing::info!(signal, "stopping: draining active calls");
    listening.close().await;
    // What was cut off is gone; what is to be kept on disk is not written before this.
    drop(tokio::time::timeout(DRAIN, broker.drain()).await);
    tracing::info!("stopped");
    Ok(Exit::Success)
}

/// The wish of whoever runs the daemon that it end.
pub(super) struct Stop {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    /// Begins to listen for it, before anybody may say it.
    #[cfg(unix)]
    pub(super) fn new() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let terminate = signal(SignalKind::terminate()).map_err(Failure::system)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(Failure::system)?;
        Ok(Self { terminate, interrupt })
    }

    #[cfg(not(unix))]
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self {})
    }

    /// Waits for it.
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
