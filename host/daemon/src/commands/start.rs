//! Starts a broker, and reports the progress of compiling plugins.

use std::sync::Arc;
use std::time::Duration;

use keyward::audit::{AuditSink, JsonLines};
use keyward::{Broker, CompileEvent, Lock, Options, Plan};

use crate::audit_file::AuditFile;
use crate::config;
use crate::exit::Failure;

/// Compilations that took at least this long are reported.
const REPORT_AFTER: Duration = Duration::from_millis(200);

/// Starts a broker with these locks.
pub(super) fn broker(
    plan: Plan,
    audit: Arc<dyn AuditSink>,
    locks: Vec<Lock>,
) -> Result<Broker, Failure> {
    let mut report = |event: CompileEvent<'_>| match event {
        CompileEvent::Compiling { plugin, bytes } => {
            eprintln!("compiling the plugin {plugin} ({} KiB), once ...", bytes / 1024);
        }
        CompileEvent::Ready { plugin, found, took } => {
            if !found && took >= REPORT_AFTER {
                eprintln!("compiled {plugin} in {:.1} s", took.as_secs_f32());
            }
        }
    };
    let options = Options { audit, locks, on_compile: Some(&mut report), ..Options::default() };
    Ok(Broker::start_with(plan, options)?)
}

/// The audit that records go to.
pub(super) struct OpenAudit {
    pub(super) lines: Arc<JsonLines>,
    /// The file, if they go to one.
    pub(super) file: Option<AuditFile>,
}

/// Opens the audit.
pub(super) fn audit(config: &config::Audit) -> Result<OpenAudit, Failure> {
    let (lines, file) = match config {
        config::Audit::Stdout => (JsonLines::new(std::io::stdout()), None),
        config::Audit::File(path) => {
            let file = AuditFile::open(path).map_err(|error| {
                let path = path.display();
                Failure::config(format!("cannot write the audit to {path}: {error}"))
            })?;
            (JsonLines::new(file.clone()), Some(file))
        }
    };
    Ok(OpenAudit { lines: Arc::new(lines.map_err(Failure::system)?), file })
}
