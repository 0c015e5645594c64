//! The daemon's log: lines on standard error.

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Targets of the compiler, limited to warnings: at `trace` it logs gigabytes.
const COMPILER: [&str; 6] = [
    "cranelift",
    "cranelift_codegen",
    "cranelift_frontend",
    "regalloc2",
    "wasmtime_internal_cranelift",
    "wasmtime_environ",
];

/// Targets of this workspace.
const OWN: [&str; 6] = [
    "keyward",
    "keyward_daemon",
    "keyward_emulator",
    "keyward_identity",
    "keyward_policy",
    "keyward_sql",
];

/// Installs the logger with a maximum level. No level logs a credential.
pub(crate) fn init(level: Level) {
    // Dependencies log at most warnings, except from `debug` on, where their events help.
    let targets = if level >= Level::DEBUG {
        Targets::new().with_default(level)
    } else {
        let targets = Targets::new().with_default(level.min(Level::WARN));
        targets.with_targets(OWN.map(|target| (target, level)))
    };
    let targets = targets.with_targets(COMPILER.map(|target| (target, LevelFilter::WARN)));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    // It fails only if a logger is installed already, as in a test.
    drop(tracing_subscriber::registry().with(lines.with_filter(targets)).try_init());
}
