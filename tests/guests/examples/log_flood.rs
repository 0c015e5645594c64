//! Writes to its log without end.

guests::attack!(attack);

fn attack<R>(_: &R) -> String {
    let line = "a line like any other, 64 bytes of it, with nothing to say ....\n";
    let stderr = guests::bindings::wasi::cli::stderr::get_stderr();
    loop {
        let _ = stderr.blocking_write_and_flush(line.as_bytes());
    }
}
