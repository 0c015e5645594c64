//! `keyward serve`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use keyward::{Broker, Plan};

use super::hangup_signal::HangupSignal;
use super::shutdown_signal::ShutdownSignal;
use super::start::{self, OpenAudit};
use crate::cli::Serve;
use crate::compile_cache;
use crate::config::{Audit, DaemonConfig, Listen};
use crate::confine;
use crate::exit::{Exit, Failure};
use crate::listen::{self, ServerHandle, Wanted};
use crate::lock_store::{self, LockStore};

/// How long the broker may take to write its audit and its token files after the server shut down.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn serve(serve: Serve) -> Result<Exit, Failure> {
    let hangup = HangupSignal::install()?;
    let began = Instant::now();
    let config = DaemonConfig::load(&serve.config)?;
    let (confine, lock) = (config.confine.clone(), config.lock.clone());
    let planned = config.plan()?;
    let (plan, listen, audit) = &planned;
    // Rules are for directories that exist.
    listen::create_directories(listen)?;
    compile_cache::create(&plan.config)?;
    lock_store::create_directory(lock.file.as_deref());
    confine::process(&confine::confinement(&confine, plan, listen, audit, &lock))?;
    run(planned, lock.file, began, Some(hangup)).await
}

/// Serves a configuration until a shutdown signal. Without `hangup`, SIGHUP ends the process.
pub(super) async fn run(
    (plan, listen, audit): (Plan, Listen, Audit),
    lock_file: Option<PathBuf>,
    began: Instant,
    mut hangup: Option<HangupSignal>,
) -> Result<Exit, Failure> {
    let read = lock_store::read(lock_file.as_deref())?;
    let OpenAudit { sink, file } = start::audit(&audit)?;
    let wanted = Wanted::by(&plan.callers);
    let broker = start::broker(plan, sink, read.stored.locks.clone())?;
    let locks = LockStore::start(broker.clone(), lock_file, read).await;
    let mut shutdown = ShutdownSignal::install()?;
    let server = listen::start(&listen, wanted, broker.clone(), locks.clone()).await?;
    tracing::info!(
        mounts = broker.mounts().join(", "),
        at = server.addresses.join(" and "),
        ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "ready"
    );
    let reopen = async {
        match &mut hangup {
            Some(hangup) => hangup.reopen(file.as_ref()).await,
            None => std::future::pending().await,
        }
    };
    let mut follow = std::pin::pin!(locks.follow());
    let signal = tokio::select! {
        signal = shutdown.wait() => signal,
        never = reopen => match never {},
        never = &mut follow => match never {},
    };
    tracing::info!(signal, "stopping: draining active calls");
    // Its socket is gone, but a lock in the file still ends calls.
    let exit = tokio::select! {
        exit = stop(&server, &broker, &mut shutdown) => exit,
        never = &mut follow => match never {},
    };
    tracing::info!("stopped");
    Ok(exit)
}

/// Shuts a server down gracefully. A second signal ends its calls at once.
pub(super) async fn stop(
    server: &ServerHandle,
    broker: &Broker,
    shutdown: &mut ShutdownSignal,
) -> Exit {
    let graceful = async {
        server.shutdown().await;
        // After all calls have ended, so that their records and tokens are written too.
        drop(tokio::time::timeout(FLUSH_TIMEOUT, broker.drain()).await);
    };
    tokio::select! {
        () = graceful => Exit::Success,
        signal = shutdown.wait() => {
            tracing::warn!(signal, "a second signal: ending active calls");
            server.abort().await;
            Exit::Aborted
        }
    }
}
