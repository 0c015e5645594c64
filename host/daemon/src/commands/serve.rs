//! `keyward serve`.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyward::{Broker, Plan};

use super::hangup_signal::HangupSignal;
use super::shutdown_signal::ShutdownSignal;
use super::start::{self, OpenAudit};
use crate::admin::AdminListener;
use crate::cli::Serve;
use crate::compile_cache;
use crate::config::{Audit, DaemonConfig, Listen};
use crate::confine::{self, Confinement};
use crate::exit::{Exit, Failure};
use crate::inherited::Inherited;
use crate::listen::{self, ServerHandle, Wanted};
use crate::lock_store::{self, LockStore};
use crate::running::{Fixed, Running, Start};
use crate::service_manager;

/// How long the broker may take to write its audit and its token files after the server shut down.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// How long calls that were cut off may take to end, so that their callers get an error.
const CUT_OFF_TIMEOUT: Duration = Duration::from_secs(1);

/// A configuration that fits its plugins.
pub(super) struct Planned {
    file: PathBuf,
    digest: String,
    plan: Plan,
    listen: Listen,
    audit: Audit,
    fixed: Fixed,
}

impl Planned {
    /// Fits the configuration in a file to its plugins.
    pub(super) fn new(file: &Path, config: DaemonConfig) -> Result<Self, Failure> {
        let (file, digest) = (file.to_owned(), config.digest.clone());
        let fixed = Fixed::of(&config);
        let (plan, listen, audit) = config.plan()?;
        Ok(Self { file, digest, plan, listen, audit, fixed })
    }
}

pub(crate) async fn serve(serve: Serve) -> Result<Exit, Failure> {
    let inherited = Inherited::take()?;
    let hangup = HangupSignal::install()?;
    let began = Instant::now();
    let planned = Planned::new(&serve.config, DaemonConfig::load(&serve.config)?)?;
    let Planned { plan, listen, audit, fixed, .. } = &planned;
    // Rules are for directories that exist.
    listen::create_directories(listen, fixed.admin.as_deref())?;
    compile_cache::create(&plan.config)?;
    lock_store::create_directory(fixed.lock.file.as_deref());
    let listeners = (listen, fixed.admin.as_deref());
    let confinement = confine::confinement(&fixed.confine, plan, listeners, audit, &fixed.lock);
    let in_force = confine::process(with_configuration(confinement, &serve.config))?;
    run(planned, Some(in_force), began, Some(hangup), inherited).await
}

/// Also permits reading the configuration again.
fn with_configuration(mut confinement: Confinement, file: &Path) -> Confinement {
    confinement.permit_reading(file);
    confinement
}

/// Serves a configuration until a shutdown signal. Without `hangup`, SIGHUP ends the process.
pub(super) async fn run(
    planned: Planned,
    confinement: Option<Confinement>,
    began: Instant,
    hangup: Option<HangupSignal>,
    mut inherited: Inherited,
) -> Result<Exit, Failure> {
    let Planned { file, digest, plan, listen, audit, fixed } = planned;
    let lock_file = fixed.lock.file.clone();
    let read = lock_store::read(lock_file.as_deref())?;
    let OpenAudit { lines, file: audit_file } = start::audit(&audit)?;
    let wanted = Wanted::by(&plan.callers);
    let broker = start::broker(plan, lines.clone(), read.stored.locks.clone())?;
    let locks = LockStore::start(broker.clone(), lock_file, read).await;
    let mut shutdown = ShutdownSignal::install()?;
    let server =
        listen::start(&listen, wanted, (broker.clone(), locks.clone()), &mut inherited).await?;
    let admin = match &fixed.admin {
        Some(socket) => Some(AdminListener::bind(socket, &mut inherited)?),
        None => None,
    };
    inherited.check_used()?;
    let start = Start {
        file,
        fixed,
        confinement,
        wanted,
        audit_file,
        listener_files: server.files.clone(),
        addresses: server.addresses.clone(),
        digest,
    };
    let running = Running::new(start, broker.clone());
    service_manager::ready(&running.summary());
    tracing::info!(
        mounts = broker.mounts().join(", "),
        at = server.addresses.join(" and "),
        ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "ready"
    );
    let background = async {
        tokio::select! {
            never = administer(admin.as_ref(), &running) => never,
            never = reload_at_hangup(hangup, &running) => never,
            never = locks.follow() => never,
            never = watch(&server) => never,
        }
    };
    let mut background = std::pin::pin!(background);
    let signal = tokio::select! {
        signal = shutdown.wait() => signal,
        () = running.stop_requested() => "none: requested at the admin socket",
        never = &mut background => match never {},
    };
    running.set_stopping();
    service_manager::stopping("draining active calls");
    tracing::info!(signal, "stopping: draining active calls");
    // Its socket is gone, but a lock in the file still ends calls.
    let exit = tokio::select! {
        exit = stop(&server, &broker, &mut shutdown, running.grace()) => exit,
        never = &mut background => match never {},
    };
    let flush_time = if exit == Exit::Aborted { CUT_OFF_TIMEOUT } else { FLUSH_TIMEOUT };
    if !lines.flush_within(flush_time) {
        tracing::error!("the audit cannot be written: its last records are lost");
        // Dropping the last one would wait for the writer.
        std::mem::forget(Arc::clone(&lines));
    }
    tracing::info!("stopped");
    Ok(exit)
}

/// Serves the admin socket, if there is one.
async fn administer(admin: Option<&AdminListener>, running: &Running) -> Infallible {
    match admin {
        Some(admin) => admin.serve(running).await,
        None => std::future::pending().await,
    }
}

/// Reloads the configuration at each SIGHUP.
async fn reload_at_hangup(hangup: Option<HangupSignal>, running: &Running) -> Infallible {
    let Some(mut hangup) = hangup else { return std::future::pending().await };
    loop {
        hangup.wait().await;
        // Its outcome is in the log.
        drop(running.reload("SIGHUP", None).await);
    }
}

/// Tells the service manager's watchdog, if there is one, that the daemon responds: this thread, and
/// every thread that serves connections.
async fn watch(server: &ServerHandle) -> Infallible {
    let Some(interval) = service_manager::watchdog_interval() else {
        return std::future::pending().await;
    };
    loop {
        server.respond().await;
        service_manager::watchdog_alive();
        tokio::time::sleep(interval).await;
    }
}

/// Shuts a server down gracefully: calls may go on for the grace time, and are cut off then. A second
/// signal cuts them off at once.
pub(super) async fn stop(
    server: &ServerHandle,
    broker: &Broker,
    shutdown: &mut ShutdownSignal,
    grace: Duration,
) -> Exit {
    let graceful = async {
        if tokio::time::timeout(grace, server.shutdown()).await.is_err() {
            let count = broker.cut_off();
            let grace = humantime::format_duration(grace);
            tracing::warn!("cut off {count} calls that were active for longer than {grace}");
            drop(tokio::time::timeout(CUT_OFF_TIMEOUT, server.shutdown()).await);
            server.abort().await;
        }
        // After all calls have ended, so that their records and tokens are written too.
        drop(tokio::time::timeout(FLUSH_TIMEOUT, broker.drain()).await);
    };
    tokio::select! {
        () = graceful => Exit::Success,
        signal = shutdown.wait() => {
            let count = broker.cut_off();
            tracing::warn!(signal, "a second signal: cut off {count} active calls");
            server.abort().await;
            Exit::Aborted
        }
    }
}
