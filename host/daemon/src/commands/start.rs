//! Starts a broker, and shows what takes its time.

use std::fs::OpenOptions;
use std::sync::Arc;
use std::time::Duration;

use keyward::audit::{AuditSink, JsonLines};
use keyward::{Broker, CompileEvent, Options, Plan};

use crate::config::Audit;
use crate::exit::Failure;

/// From here on a person wants to know what takes so long.
const WORTH_TELLING: Duration = Duration::from_millis(200);

/// Starts a broker whose compile cache may be missing: that is no reason not to run.
pub(super) fn broker(plan: Plan, audit: Arc<dyn AuditSink>) -> Result<Broker, Failure> {
    let mut tell = |event: CompileEvent<'_>| match event {
        CompileEvent::Compiling { plugin, bytes } => {
            eprintln!("compiling the plugin {plugin} ({} KiB), once ...", bytes / 1024);
        }
        CompileEvent::Ready { plugin, found, took } => {
            if !found && took >= WORTH_TELLING {
                eprintln!("compiled {plugin} in {:.1} s", took.as_secs_f32());
            }
        }
    };
    Ok(Broker::start_with(plan, Options { audit, on_compile: Some(&mut tell), ..Options::default() })?)
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
            let failed = |error| Failure::config(format!("cannot write the audit to {}: {error}", path.display()));
            JsonLines::new(file.map_err(failed)?)
        }
    };
    Ok(Arc::new(lines.map_err(Failure::system)?))
}
