//! Collects the log of this process at level `trace`.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

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
    text: Arc<Mutex<Vec<u8>>>,
    length: watch::Sender<usize>,
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

    /// The log so far.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap_or_else(PoisonError::into_inner))
            .into_owned()
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
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.extend_from_slice(bytes);
        self.length.send_replace(text.len());
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
