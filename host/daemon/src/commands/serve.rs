//! `keyward serve`.

use std::time::{Duration, Instant};

use super::shutdown_signal::ShutdownSignal;
use super::start;
use crate::cli::Serve;
use crate::config::DaemonConfig;
use crate::exit::{Exit, Failure};
use crate::listen;

/// How long the broker may take to write its audit and its token files after the server shut down.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn serve(serve: Serve) -> Result<Exit, Failure> {
    run(DaemonConfig::load(&serve.config)?).await
}

/// Serves a configuration until a shutdown signal.
pub(super) async fn run(config: DaemonConfig) -> Result<Exit, Failure> {
    let began = Instant::now();
    let (plan, listen, audit) = config.plan()?;
    let broker = start::broker(plan, start::audit(&audit)?)?;
    let mut shutdown = ShutdownSignal::install()?;
    let server = listen::start(&listen, broker.clone()).await?;
    tracing::info!(
        mounts = broker.mounts().join(", "),
        at = server.addresses.join(" and "),
        ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "ready"
    );
    let signal = shutdown.wait().await;
    tracing::info!(signal, "stopping: draining active calls");
    server.shutdown().await;
    // After all calls have ended, so that their records and tokens are written too.
    drop(tokio::time::timeout(FLUSH_TIMEOUT, broker.drain()).await);
    tracing::info!("stopped");
    Ok(Exit::Success)
}
