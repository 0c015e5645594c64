//! The running daemon: its configuration, how it is reloaded, and what it reports about itself.

mod needs_restart;
mod report;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use keyward::{Broker, CompileEvent, Reloaded};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::audit_file::AuditFile;
use crate::config::{Audit, Confine, DaemonConfig, Listen, LockConfig};
use crate::confine::{self, Confinement};
use crate::exit::Failure;
use crate::listen::{ListenerFiles, Wanted};
use crate::service_manager;

/// A running daemon. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Running(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    start: Start,
    broker: Broker,
    /// Held while the configuration is reloaded.
    reloading: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    stop: CancellationToken,
}

/// What stays as it was when the daemon started.
#[derive(Debug)]
pub(crate) struct Start {
    /// The configuration's file.
    pub(crate) file: PathBuf,
    pub(crate) fixed: Fixed,
    /// What the process may do; `None` if it is not confined.
    pub(crate) confinement: Option<Confinement>,
    /// What the listeners look up about callers.
    pub(crate) wanted: Wanted,
    /// The audit's file, if records go to one.
    pub(crate) audit_file: Option<AuditFile>,
    pub(crate) listener_files: ListenerFiles,
    pub(crate) addresses: Vec<String>,
    /// The digest of the configuration.
    pub(crate) digest: String,
}

/// The parts of a configuration that apply until a restart.
#[derive(Clone, Debug)]
pub(crate) struct Fixed {
    pub(crate) listen: Listen,
    pub(crate) admin: Option<PathBuf>,
    pub(crate) audit: Audit,
    pub(crate) lock: LockConfig,
    pub(crate) confine: Confine,
    pub(crate) compile_cache: keyward_policy::config::CompileCache,
}

impl Fixed {
    /// Those of a configuration.
    pub(crate) fn of(config: &DaemonConfig) -> Self {
        Self {
            listen: config.listen.clone(),
            admin: config.admin.clone(),
            audit: config.audit.clone(),
            lock: config.lock.clone(),
            confine: config.confine.clone(),
            compile_cache: config.broker.compile_cache.clone(),
        }
    }
}

/// What changes while the daemon runs.
#[derive(Debug)]
struct State {
    /// The digest of the configuration that is in use.
    digest: String,
    since: SystemTime,
    loaded: SystemTime,
    grace: Duration,
    /// How often the configuration was reloaded.
    reloads: u64,
    /// The last reload that failed, if none has succeeded since.
    failed: Option<(SystemTime, String)>,
    /// Whether the listeners accept connections and the daemon does not stop.
    is_ready: bool,
}

/// A configuration that is not in use after an attempt to reload it. Nothing has changed.
#[derive(Debug)]
pub(crate) enum ReloadError {
    /// It is invalid, or a file that it names.
    Invalid(Failure),
    /// Another configuration than the expected one is in use: the one with this digest.
    OtherDigest(String),
    /// These parts of it need a restart, and the others would not work without them.
    NeedsRestart(Vec<String>),
    /// The daemon is stopping.
    Stopping,
}

impl Running {
    /// A daemon that has started.
    pub(crate) fn new(start: Start, broker: Broker) -> Self {
        let now = SystemTime::now();
        let state = State {
            digest: start.digest.clone(),
            since: now,
            loaded: now,
            grace: start.fixed.listen.grace,
            reloads: 0,
            failed: None,
            is_ready: true,
        };
        Self(Arc::new(Inner {
            start,
            broker,
            reloading: tokio::sync::Mutex::default(),
            state: Mutex::new(state),
            stop: CancellationToken::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The grace time of the configuration that is in use.
    pub(crate) fn grace(&self) -> Duration {
        self.state().grace
    }

    /// The digest of the configuration that is in use.
    pub(crate) fn digest(&self) -> String {
        self.state().digest.clone()
    }

    /// Asks the daemon to stop.
    pub(crate) fn request_stop(&self) {
        self.0.stop.cancel();
    }

    /// Waits until somebody asks the daemon to stop.
    pub(crate) async fn stop_requested(&self) {
        self.0.stop.cancelled().await;
    }

    /// Notes that the daemon stops.
    pub(crate) fn set_stopping(&self) {
        self.state().is_ready = false;
    }

    /// Whether the daemon serves callers: it has started and does not stop. Whether services can be
    /// reached and how busy the mounts are does not count.
    pub(crate) fn is_ready(&self) -> bool {
        self.state().is_ready
    }

    /// Opens the audit's file again, after another program moved it away.
    fn reopen_audit(&self) -> Option<String> {
        let file = self.0.start.audit_file.as_ref()?;
        let path = file.path().display();
        match file.reopen() {
            Ok(()) => {
                tracing::info!("reopened the audit file {path}");
                None
            }
            Err(error) => {
                tracing::error!(
                    "cannot reopen the audit file {path}, and the open one stays in use: {error}"
                );
                Some(error.to_string())
            }
        }
    }

    /// Reads the configuration again and puts it in use. Also opens the audit's file again, even if
    /// the configuration is invalid. `by` says who asked for it. If `expected` is a digest, and not
    /// that of the configuration in use, nothing happens.
    ///
    /// # Errors
    ///
    /// The configuration cannot be used. Then the one that is in use stays so, unchanged.
    pub(crate) async fn reload(
        &self,
        by: &str,
        expected: Option<&str>,
    ) -> Result<Value, ReloadError> {
        let _one_at_a_time = self.0.reloading.lock().await;
        if !self.is_ready() {
            return Err(ReloadError::Stopping);
        }
        let digest = self.digest();
        if expected.is_some_and(|expected| expected != digest) {
            return Err(ReloadError::OtherDigest(digest));
        }
        service_manager::reloading();
        let audit_error = self.reopen_audit();
        let running = self.clone();
        let applied = tokio::task::spawn_blocking(move || running.apply()).await;
        let applied =
            applied.unwrap_or_else(|error| Err(ReloadError::Invalid(Failure::software(error))));
        let result = match applied {
            Ok(mut report) => {
                tracing::info!(
                    by,
                    digest = self.digest(),
                    "reloaded: {}",
                    report::summary(&report)
                );
                if let (Some(error), Some(report)) = (audit_error, report.as_object_mut()) {
                    report.insert("audit_file_error".to_owned(), error.into());
                }
                let (running, grace) = (self.clone(), self.grace());
                tokio::spawn(async move {
                    let cut_off = running.0.broker.end_replaced(grace).await;
                    if cut_off > 0 {
                        tracing::warn!("cut off {cut_off} calls of replaced mounts");
                    }
                });
                Ok(report)
            }
            Err(error) => {
                let message = error.to_string();
                tracing::error!(by, "not reloaded, and nothing is changed: {message}");
                self.state().failed = Some((SystemTime::now(), message));
                Err(error)
            }
        };
        service_manager::ready(&self.summary());
        result
    }

    /// Reads the configuration and puts it in use. Blocks while it reads and compiles.
    fn apply(&self) -> Result<Value, ReloadError> {
        let start = &self.0.start;
        let mut config = DaemonConfig::load(&start.file)?;
        let fixed = Fixed::of(&config);
        let later = needs_restart::changes(&start.fixed, &fixed);
        let (digest, grace) = (config.digest.clone(), config.listen.grace);
        config.broker.compile_cache = start.fixed.compile_cache.clone();
        let (plan, ..) = config.plan()?;
        let wanted = Wanted::by(&plan.callers);
        let mut lacking = needs_restart::proofs(start.wanted, wanted, &start.fixed.listen, &later);
        if let Some(in_force) = &start.confinement {
            let Fixed { listen, admin, audit, lock, confine, .. } = &start.fixed;
            let listeners = (listen, admin.as_deref());
            let needed = confine::confinement(confine, &plan, listeners, audit, lock);
            lacking.extend(in_force.lacks(&needed));
        }
        if !lacking.is_empty() {
            return Err(ReloadError::NeedsRestart(lacking));
        }
        let files = start.listener_files.read()?;
        let mut report = |event: CompileEvent<'_>| match event {
            CompileEvent::Compiling { plugin, .. } => tracing::info!(plugin, "compiling"),
            CompileEvent::Ready { .. } => {}
        };
        let reloaded = self.0.broker.reload_with(plan, Some(&mut report));
        let reloaded: Reloaded = reloaded.map_err(Failure::from)?;
        let read_again = files.names();
        files.install();
        let report = report::reloaded(&reloaded, &digest, &read_again, &later);
        let mut state = self.state();
        (state.digest, state.grace, state.loaded) = (digest, grace, SystemTime::now());
        state.reloads += 1;
        state.failed = None;
        Ok(report)
    }

    /// The state of the daemon, for `GET /status`.
    pub(crate) fn status(&self) -> Value {
        let broker = &self.0.broker;
        let state = self.state();
        let time = |time: SystemTime| humantime::format_rfc3339_seconds(time).to_string();
        let mounts: Vec<Value> = broker.mount_statuses().iter().map(report::mount).collect();
        let failed = state.failed.as_ref();
        let locks: Vec<String> =
            broker.locks().iter().map(|lock| lock.target.to_string()).collect();
        json!({
            "state": if state.is_ready { "ready" } else { "stopping" },
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "since": time(state.since),
            "configuration": {
                "file": self.0.start.file.display().to_string(),
                "digest": state.digest,
                "loaded": time(state.loaded),
                "reloads": state.reloads,
                "failed_reload": failed.map(|(at, message)| {
                    json!({ "time": time(*at), "message": message })
                }),
            },
            "listeners": self.0.start.addresses,
            "calls": broker.count_running(),
            "mounts": mounts,
            "locks": locks,
        })
    }

    /// The state in one line, for the service manager.
    pub(crate) fn summary(&self) -> String {
        let state = self.state();
        let mounts = self.0.broker.mounts().len();
        let digest: String = state.digest.chars().take(12).collect();
        match &state.failed {
            None => format!("serving {mounts} mounts; configuration {digest}"),
            Some(_) => format!(
                "serving {mounts} mounts; configuration {digest}; the last reload failed, see the \
                 log"
            ),
        }
    }
}

impl From<Failure> for ReloadError {
    fn from(failure: Failure) -> Self {
        Self::Invalid(failure)
    }
}

impl std::fmt::Display for ReloadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invalid(failure) => f.write_str(failure.message()),
            Self::OtherDigest(digest) => write!(
                f,
                "the configuration in use is another one than expected; its digest is {digest}"
            ),
            Self::NeedsRestart(lacking) => {
                write!(f, "the configuration needs a restart: {}", lacking.join("; "))
            }
            Self::Stopping => f.write_str("the daemon is stopping"),
        }
    }
}
