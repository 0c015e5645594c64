//! The daemon's log: lines on standard error.

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Parts of the compiler: at `trace` they say gigabytes, and nothing that helps here.
const COMPILER: [&str; 6] = [
    "cranelift",
    "cranelift_codegen",
    "cranelift_frontend",
    "regalloc2",
    "wasmtime_internal_cranelift",
    "wasmtime_environ",
];

/// Begins to log, from this level on. No level logs a credential.
pub(crate) fn begin(level: Level) {
    let own = Targets::new().with_default(level.min(Level::WARN));
    let own =
        own.with_targets(["keyward", "keyward_identity", "keyward_daemon", "keyward_emulator"].map(|t| (t, level)));
    // Below `debug` what dependencies say is of use too.
    let all = if level >= Level::DEBUG { Targets::new().with_default(level) } else { own };
    let all = all.with_targets(COMPILER.map(|target| (target, LevelFilter::WARN)));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    // It can fail only where a log has begun already, as in a test.
    drop(tracing_subscriber::registry().with(lines.with_filter(all)).try_init());
}
