//! Records as lines of JSON.

use std::io::{self, BufWriter, Write};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use super::{AuditSink, Record};

/// How many lines may wait to be written. A call that finds no room waits: no record is ever dropped.
const WAITING: usize = 16 * 1024;

/// Writes each record as a line of JSON, in a thread of its own. Dropping it writes what is left.
#[derive(Debug)]
pub struct JsonLines {
    lines: Option<SyncSender<Vec<u8>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl JsonLines {
    /// Writes to a file, a pipe, a terminal.
    ///
    /// # Errors
    ///
    /// The thread cannot be started.
    pub fn new(to: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, receiver) = sync_channel(WAITING);
        let writer = std::thread::Builder::new().name("keyward-audit".to_owned()).spawn(|| write(receiver, to))?;
        Ok(Self { lines: Some(lines), writer: Mutex::new(Some(writer)) })
    }
}

impl AuditSink for JsonLines {
    fn record(&self, record: &Record) {
        let Some(lines) = &self.lines else { return };
        let mut line = match serde_json::to_vec(record) {
            Ok(line) => line,
            Err(error) => return tracing::error!(%error, "an audit record cannot be written"),
        };
        line.push(b'\n');
        if lines.send(line).is_err() {
            tracing::error!("the audit's writer is gone; a record is lost");
        }
    }
}

impl Drop for JsonLines {
    fn drop(&mut self) {
        drop(self.lines.take());
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the audit's writer panicked");
        }
    }
}

/// Writes lines as they come, and flushes whenever none is waiting.
fn write(lines: Receiver<Vec<u8>>, to: impl Write) {
    let mut to = BufWriter::new(to);
    let report = |result: io::Result<()>| {
        if let Err(error) = result {
            tracing::error!(%error, "cannot write the audit");
        }
    };
    while let Ok(line) = lines.recv() {
        report(to.write_all(&line));
        loop {
            match lines.try_recv() {
                Ok(line) => report(to.write_all(&line)),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        report(to.flush());
    }
}
