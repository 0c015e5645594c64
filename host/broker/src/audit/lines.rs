//! Records as lines of JSON.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{AuditSink, Record};

/// How many bytes may wait to be written. A call that finds no room waits: no record is ever
/// dropped.
const ROOM: usize = 16 << 20;

/// How long lines are gathered before they are written. To wake the writer for each of them cost a
/// tenth of all small GETs.
const GATHERING: Duration = Duration::from_millis(5);

/// Writes each record as a line of JSON, in a thread of its own, a few milliseconds after it came.
/// Dropping it writes what is left.
#[derive(Debug)]
pub struct JsonLines {
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// There are lines, or there will be none any more.
    lines: Condvar,
    /// There is room again.
    room: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    writer_sleeps: bool,
    /// Lines that the writer has taken are not written yet.
    is_writing: bool,
    closed: bool,
}

impl JsonLines {
    /// Writes to a file, a pipe, a terminal.
    ///
    /// # Errors
    ///
    /// The thread cannot be started.
    pub fn new(to: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let written = Arc::clone(&queue);
        let writer = std::thread::Builder::new()
            .name("keyward-audit".to_owned())
            .spawn(move || written.write(to))?;
        Ok(Self { queue, writer: Some(writer) })
    }
}

impl JsonLines {
    /// Waits until all records so far are written. Returns whether they were within this time: a
    /// pipe that nobody reads takes none.
    pub fn flush_within(&self, time: Duration) -> bool {
        let waiting = self.queue.lock();
        let is_left = |waiting: &mut Waiting| !waiting.lines.is_empty() || waiting.is_writing;
        let waited = self.queue.room.wait_timeout_while(waiting, time, is_left);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl AuditSink for JsonLines {
    fn record(&self, record: &Record) {
        match serde_json::to_vec(record) {
            Ok(line) => self.queue.push(&line),
            Err(error) => tracing::error!(%error, "an audit record cannot be written"),
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let full = |waiting: &mut Waiting| waiting.lines.len() >= ROOM && !waiting.closed;
        let mut waiting =
            self.room.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        waiting.lines.extend_from_slice(line);
        waiting.lines.push(b'\n');
        if std::mem::take(&mut waiting.writer_sleeps) {
            self.lines.notify_one();
        }
    }

    /// Writes lines as they come, until there will be no more.
    fn write(&self, mut to: impl Write) {
        loop {
            let mut waiting = self.lock();
            while waiting.lines.is_empty() && !waiting.closed {
                waiting.writer_sleeps = true;
                waiting = self.lines.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            waiting.writer_sleeps = false;
            if !waiting.closed {
                drop(waiting);
                std::thread::sleep(GATHERING);
                waiting = self.lock();
            }
            let (lines, closed) = (std::mem::take(&mut waiting.lines), waiting.closed);
            waiting.is_writing = true;
            drop(waiting);
            self.room.notify_all();
            if let Err(error) = to.write_all(&lines).and_then(|()| to.flush()) {
                tracing::error!(%error, "cannot write the audit");
            }
            self.lock().is_writing = false;
            self.room.notify_all();
            if closed {
                return;
            }
        }
    }
}

impl Drop for JsonLines {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.lines.notify_all();
        if self.writer.take().is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the audit's writer panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes to memory, slowly.
    #[derive(Clone, Default)]
    struct Slow(Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Takes nothing until it may.
    struct Stalled(std::sync::mpsc::Receiver<()>);

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn it_is_known_whether_all_records_are_written() {
        let (go, stalled) = std::sync::mpsc::channel();
        let lines = JsonLines::new(Stalled(stalled)).unwrap();
        assert!(lines.flush_within(Duration::ZERO), "there are none");
        lines.queue.push(b"a record");
        assert!(!lines.flush_within(Duration::from_millis(20)));
        drop(go);
        assert!(lines.flush_within(Duration::from_secs(30)));
    }

    #[test]
    fn every_line_is_written_once_and_the_last_before_the_end() {
        let slow = Slow::default();
        let lines = JsonLines::new(slow.clone()).unwrap();
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let queue = Arc::clone(&lines.queue);
                std::thread::spawn(move || {
                    (0..10_000).for_each(|n| queue.push(format!("{thread} {n}").as_bytes()));
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drop(lines);
        let text = String::from_utf8(slow.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 40_000);
        for thread in 0..4 {
            let own: Vec<&str> =
                text.lines().filter(|line| line.starts_with(&format!("{thread} "))).collect();
            assert!(
                own.iter().enumerate().all(|(n, line)| *line == format!("{thread} {n}")),
                "in their order"
            );
        }
    }
}
