//! What the emulator was asked.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// A request that came, and what became of it. It holds no credential.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// Which service: `imds`, `vault`, `arm`, `blob`, `dfs` (Data Lake Gen2), `datalake` (Gen1), `sql`.
    pub service: &'static str,
    /// The host that was asked.
    pub host: String,
    /// The method; of `sql` it is `LOGIN`, `BATCH`, `RPC` or `TRANSACTION`.
    pub method: String,
    /// The path; of `sql` it is the database.
    pub path: String,
    /// The query; of `sql` it is the statement, without the values of its parameters.
    pub query: String,
    /// The header fields, without `authorization`.
    pub headers: Vec<(String, String)>,
    /// The name of the identity whose token came with it, where one did and was good. A shared access signature
    /// has none.
    pub identity: Option<String>,
    /// How many bytes of its body were read.
    pub body_bytes: usize,
    /// Whether there was more of the body than was read: it was answered, or broke off, before its end.
    pub body_unread: bool,
    /// The status of the answer; 0 where there was none. Of `sql` it is 200 or the number of the first error.
    pub status: u16,
}

impl Seen {
    /// The first value of a header field.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// All requests, in the order of their answers.
#[derive(Clone, Debug)]
pub struct SeenLog {
    seen: Arc<Mutex<Vec<Seen>>>,
    count: watch::Sender<usize>,
}

impl Default for SeenLog {
    fn default() -> Self {
        Self { seen: Arc::default(), count: watch::channel(0).0 }
    }
}

impl SeenLog {
    pub(crate) fn push(&self, seen: Seen) {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(seen);
        self.count.send_replace(all.len());
    }

    /// All requests so far.
    #[must_use]
    pub fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All requests so far to one service.
    #[must_use]
    pub fn of(&self, service: &str) -> Vec<Seen> {
        self.all().into_iter().filter(|seen| seen.service == service).collect()
    }

    /// Forgets them.
    pub fn clear(&self) {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        all.clear();
        self.count.send_replace(0);
    }

    /// Waits until a request was answered that is like this.
    pub async fn wait_for(&self, like: impl Fn(&Seen) -> bool) -> Option<Seen> {
        let mut count = self.count.subscribe();
        loop {
            if let Some(seen) = self.all().into_iter().find(&like) {
                return Some(seen);
            }
            count.changed().await.ok()?;
        }
    }
}
