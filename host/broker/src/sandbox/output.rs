//! What a guest prints: lines of the host's log, within a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::call::Call;
use crate::error::Limit;

/// The longest line, in bytes; what is behind goes into the next.
const LINE: usize = 1024;

/// How many bytes a guest may write at once.
const ROOM: usize = 4096;

/// Standard output or standard error of a guest.
#[derive(Clone)]
pub(super) struct Output {
    call: Arc<Call>,
    name: &'static str,
    /// Bytes of both, since the guest began.
    written: Arc<AtomicU64>,
}

impl Output {
    /// Both of a guest: they share one limit.
    pub(super) fn pair(call: &Arc<Call>) -> (Self, Self) {
        let written = Arc::new(AtomicU64::new(0));
        let output = |name| Self { call: Arc::clone(call), name, written: Arc::clone(&written) };
        (output("stdout"), output("stderr"))
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    /// For WASI 0.3, which no guest has here.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Lines { output: self.clone(), line: Vec::new() })
    }
}

struct Lines {
    output: Output,
    line: Vec<u8>,
}

impl Lines {
    fn end_line(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let line = printable(&std::mem::take(&mut self.line));
        let (mount, stream) = (self.output.call.mount().name.as_str(), self.output.name);
        tracing::info!(target: "keyward::plugin", mount, stream, "{line}");
    }
}

/// A guest's text, so that it cannot pass for anything but itself: control characters are escaped.
pub(super) fn printable(line: &[u8]) -> String {
    String::from_utf8_lossy(line)
        .chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() })
        .collect()
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let limit = self.output.call.mount().limits.log_bytes;
        let length = bytes.len() as u64;
        if self.output.written.fetch_add(length, Ordering::Relaxed).saturating_add(length) > limit {
            return Err(StreamError::Trap(Limit::LogBytes(limit).into()));
        }
        for byte in bytes {
            if byte == b'\n' {
                self.end_line();
            } else {
                self.line.push(byte);
                if self.line.len() >= LINE {
                    self.end_line();
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(ROOM)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.end_line();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guests_line_cannot_pass_for_another_line() {
        assert_eq!(
            printable(b"a\r\n2026-01-01 ERROR \x1b[31mfake\xff"),
            "a\\r\\n2026-01-01 ERROR \\u{1b}[31mfake\u{fffd}"
        );
    }
}
