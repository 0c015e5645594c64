//! The requests that the emulator received.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// A request and its outcome, without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedRequest {
    /// The service: `imds`, `vault`, `arm`, `blob`, `dfs` (Data Lake Gen2), `datalake` (Gen1),
    /// `sql`.
    pub service: &'static str,
    /// The host.
    pub host: String,
    /// The method; for `sql` it is `LOGIN`, `BATCH`, `RPC` or `TRANSACTION`.
    pub method: String,
    /// The path; for `sql` it is the database.
    pub path: String,
    /// The query; for `sql` it is the statement, without the values of its parameters.
    pub query: String,
    /// The header fields, without `authorization`.
    pub headers: Vec<(String, String)>,
    /// The name of the identity whose token the request had. `None` if the token was missing or
    /// invalid, and for a shared access signature.
    pub identity: Option<String>,
    /// The number of bytes of the body that were read.
    pub body_bytes: usize,
    /// Whether the body was not read to its end.
    pub body_unread: bool,
    /// The status of the response, 0 if there was none. For `sql` it is 200 or the number of the
    /// first error.
    pub status: u16,
}

impl LoggedRequest {
    /// The first value of a header field.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// All requests, in the order of their responses.
#[derive(Clone, Debug)]
pub struct RequestLog {
    requests: Arc<Mutex<Vec<LoggedRequest>>>,
    count: watch::Sender<usize>,
}

impl Default for RequestLog {
    fn default() -> Self {
        Self { requests: Arc::default(), count: watch::channel(0).0 }
    }
}

impl RequestLog {
    pub(crate) fn push(&self, request: LoggedRequest) {
        let mut all = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(request);
        self.count.send_replace(all.len());
    }

    /// All requests so far.
    #[must_use]
    pub fn all(&self) -> Vec<LoggedRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All requests so far to one service.
    #[must_use]
    pub fn for_service(&self, service: &str) -> Vec<LoggedRequest> {
        self.all().into_iter().filter(|request| request.service == service).collect()
    }

    /// Removes all requests.
    pub fn clear(&self) {
        let mut all = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        all.clear();
        self.count.send_replace(0);
    }

    /// Waits for a request that matches. `None` if the emulator has stopped.
    pub async fn wait_for(
        &self,
        matches: impl Fn(&LoggedRequest) -> bool,
    ) -> Option<LoggedRequest> {
        let mut count = self.count.subscribe();
        loop {
            if let Some(request) = self.all().into_iter().find(&matches) {
                return Some(request);
            }
            count.changed().await.ok()?;
        }
    }
}
