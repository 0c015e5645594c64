//! Starts a broker, and reports the progress of compiling plugins.

use std::fs::OpenOptions;
use std::sync::Arc;
use std::time::Duration;

use keyward::audit::{AuditSink, JsonLines};
use keyward::{Broker, CompileEvent, Options, Plan};

use crate::config::Audit;
use crate::exit::Failure;

/// Compilations that took at least this long are reported.
const REPORT_AFTER: Duration = Duration::from_millis(200);

/// Starts a broker.
pub(super) fn broker(plan: Plan, audit: Arc<dyn AuditSink>) -> Result<Broker, Failure> {
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
    let options = Options { audit, on_compile: Some(&mut report), ..Options::default() };
    Ok(Broker::start_with(plan, options)?)
}

/// Opens the audit.
pub(super) fn audit(audit: &Audit) -> Result<Arc<dyn AuditSink>, Failure> {
    let lines = match audit {
        Audit::Stdout => JsonLines::new(std::io::stdout()),
        Audit::File(path) => {
            let mut options = OpenOptions::new();
            options.append(true).create(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = options.open(path);
            let file = file.map_err(|error| {
                let path = path.display();
                Failure::config(format!("cannot write the audit to {path}: {error}"))
            })?;
            JsonLines::new(file)
        }
    };
    Ok(Arc::new(lines.map_err(Failure::system)?))
}
