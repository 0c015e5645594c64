//! Collects the log of this process at level `trace`, as far as a test still reads it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// The log of this process.
#[derive(Clone)]
pub struct Logs {
    text: Arc<Mutex<Text>>,
    length: watch::Sender<usize>,
}

/// The end of the log, from where its first reader began. All tests of a process write some
/// gigabytes, which each of them would search.
#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    /// How many bytes were written before.
    dropped: usize,
    /// How many bytes had been written when each reader began, in the order in which they began.
    readers: BTreeMap<usize, usize>,
    next_reader: usize,
}

impl Text {
    fn written(&self) -> usize {
        self.dropped + self.bytes.len()
    }

    /// Drops what was written before the first reader began.
    fn trim(&mut self) {
        let needed = self.readers.values().next().copied().unwrap_or_else(|| self.written());
        self.bytes.drain(..needed - self.dropped);
        self.dropped = needed;
    }
}

/// Keeps the log that is written from now on, until this is dropped.
pub struct LogReader(usize);

impl Drop for LogReader {
    fn drop(&mut self) {
        let mut text = Logs::collect().lock();
        text.readers.remove(&self.0);
        text.trim();
    }
}

static LOGS: OnceLock<Logs> = OnceLock::new();

impl Logs {
    /// Starts collecting, unless it is already started.
    ///
    /// # Panics
    ///
    /// If another subscriber is installed.
    pub fn collect() -> &'static Self {
        LOGS.get_or_init(|| {
            let logs = Self { text: Arc::default(), length: watch::channel(0).0 };
            let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(logs.clone());
            // The compiler would log gigabytes before there is any token.
            let compiler = [
                "cranelift",
                "cranelift_codegen",
                "cranelift_frontend",
                "regalloc2",
                "wasmtime_internal_cranelift",
            ];
            let all = Targets::new().with_default(Level::TRACE);
            let all = all.with_targets(compiler.map(|target| (target, LevelFilter::OFF)));
            tracing_subscriber::registry()
                .with(lines.with_filter(all))
                .try_init()
                .expect("no other subscriber");
            logs
        })
    }

    /// Keeps what is written from now on, for as long as the reader lives.
    ///
    /// # Panics
    ///
    /// If another subscriber is installed.
    #[must_use]
    pub fn read() -> LogReader {
        let mut text = Self::collect().lock();
        let (reader, began) = (text.next_reader, text.written());
        text.next_reader += 1;
        text.readers.insert(reader, began);
        LogReader(reader)
    }

    fn lock(&self) -> MutexGuard<'_, Text> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log since the first living reader began.
    ///
    /// # Panics
    ///
    /// If there is no reader: nothing is kept then, and nothing would be found in it.
    #[must_use]
    pub fn text(&self) -> String {
        let text = self.lock();
        assert!(!text.readers.is_empty(), "the log is kept for readers only");
        String::from_utf8_lossy(&text.bytes).into_owned()
    }

    /// Waits for a line that contains all of these words.
    ///
    /// # Panics
    ///
    /// If it does not appear within 30 seconds.
    pub async fn line_with(&self, words: &[&str]) -> String {
        let mut length = self.length.subscribe();
        let find = async {
            loop {
                let text = self.text();
                if let Some(line) =
                    text.lines().find(|line| words.iter().all(|word| line.contains(word)))
                {
                    return line.to_owned();
                }
                length.changed().await.expect("the log lives as long as the process");
            }
        };
        let found = tokio::time::timeout(std::time::Duration::from_secs(30), find).await;
        found.unwrap_or_else(|_| panic!("no line of the log has {words:?}"))
    }
}

impl Write for &Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = self.lock();
        if !text.readers.is_empty() {
            text.bytes.extend_from_slice(bytes);
        }
        self.length.send_replace(text.written());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Logs {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}
