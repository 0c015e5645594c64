//! The plugin's log: its standard error, which the host writes into its own log line by line.

use super::bindings::wasi::cli::stderr::get_stderr;

pub(crate) fn log(line: &str) {
    let stream = get_stderr();
    for piece in line.as_bytes().chunks(4096) {
        // A log that takes no more is no reason to fail.
        let _ = stream.blocking_write_and_flush(piece);
    }
    let _ = stream.blocking_write_and_flush(b"\n");
}

/// Has a panic say what it is, which it would not on a target without an operating system.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| log(&panic.to_string())));
}
