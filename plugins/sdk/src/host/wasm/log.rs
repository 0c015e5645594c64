//! The plugin's log: its standard error, whose lines the host writes to its own log.

use super::bindings::wasi::cli::stderr::get_stderr;

pub(crate) fn log(line: &str) {
    let stream = get_stderr();
    for piece in line.as_bytes().chunks(4096) {
        // A failure to log must not fail the call.
        let _ = stream.blocking_write_and_flush(piece);
    }
    let _ = stream.blocking_write_and_flush(b"\n");
}

/// Logs panics. By default nothing is printed on a target without an operating system.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| log(&panic.to_string())));
}
