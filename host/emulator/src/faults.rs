//! Faults that tests set: what a service does wrong, where and how often.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;

/// What a service does wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FaultKind {
    /// Responds with this.
    Respond {
        /// The status.
        status: u16,
        /// Header fields.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// Waits so many milliseconds before it responds.
    Delay(u64),
    /// Does not respond until the faults change.
    Hang,
    /// Closes the connection without a response.
    Close,
    /// Closes the connection after so many bytes of the response's body.
    Truncate(usize),
    /// Responds with the first half of the body, and with its length.
    HalfBody,
    /// Sends the `authorization` field back: in the body, in chunks of so many bytes, and in the
    /// field `x-echo`.
    Echo(usize),
    /// Sends the `authorization` field back in a compressed body (gzip) whatever `accept-encoding`
    /// allows, in chunks of so many bytes.
    EchoCompressed(usize),
    /// Compresses the body (gzip), whatever `accept-encoding` allows.
    Gzip,
    /// Stops after so many bytes of the body until the faults change.
    Stall(usize),
    /// Responds with a body of so many bytes.
    Bytes(u64),
    /// Responds with an HTML page.
    Html,
    /// Reads the whole body, drops it and responds with 201: for uploads of gigabytes.
    DiscardBody,
    /// Reads the body only after the faults have changed.
    HoldBody,
    /// Closes the connection after so many bytes of the request's body were read.
    CloseAfterRequestBytes(usize),
    /// Responds before the request's body has arrived, and closes the connection.
    RespondEarly {
        /// The status.
        status: u16,
        /// How many bytes of the body are read first, at least.
        #[serde(default)]
        read: usize,
        /// Whether the connection is closed at once, which resets it if bytes of the body are
        /// unread. Otherwise it stays open for half a second.
        #[serde(default)]
        at_once: bool,
    },
    /// Responds with 307 and this `location`, without reading the body.
    Redirect(String),
    /// Fails with this error of SQL Server: 40613 (not available), 18456 (login failed), ... At a
    /// login it ends the connection.
    SqlError(i32),
    /// Sends a client that logs in to another node, as the gateways of Azure SQL do.
    SqlRoute {
        /// The node's name.
        host: String,
        /// Its port.
        port: u16,
    },
}

/// A fault: its kind, where it occurs and how often.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Fault {
    /// The service: `imds`, `vault`, `arm`, `blob`, `dfs` (Data Lake Gen2), `datalake` (Gen1),
    /// `sql`.
    pub service: String,
    /// A prefix of paths. For `sql` it is `LOGIN`, `READY` (right after a login), `BATCH`, `RPC` or
    /// `TRANSACTION`, and these kinds have an effect: [`Delay`](FaultKind::Delay),
    /// [`Hang`](FaultKind::Hang), [`Close`](FaultKind::Close), [`Truncate`](FaultKind::Truncate),
    /// [`Stall`](FaultKind::Stall), [`Html`](FaultKind::Html) and [`Bytes`](FaultKind::Bytes)
    /// (invalid packets), [`SqlError`](FaultKind::SqlError), and, at `LOGIN`,
    /// [`SqlRoute`](FaultKind::SqlRoute).
    #[serde(default)]
    pub path: String,
    /// How often; `None` is always.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens.
    pub kind: FaultKind,
}

impl Fault {
    /// A fault at every request to a service.
    #[must_use]
    pub fn always(service: &str, kind: FaultKind) -> Self {
        Self { service: service.to_owned(), path: String::new(), times: None, kind }
    }

    /// A fault at the next request to a service.
    #[must_use]
    pub fn once(service: &str, kind: FaultKind) -> Self {
        Self { times: Some(1), ..Self::always(service, kind) }
    }

    /// Limits the fault to paths with this prefix.
    #[must_use]
    pub fn at(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }
}

/// The faults that are set. The first that matches a request takes effect.
#[derive(Clone, Debug)]
pub struct Faults {
    faults: Arc<Mutex<VecDeque<Fault>>>,
    /// Incremented when the faults change.
    changes: watch::Sender<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self { faults: Arc::default(), changes: watch::channel(0).0 }
    }
}

impl Faults {
    /// Adds a fault.
    pub fn add(&self, fault: Fault) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push_back(fault);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Responds to every request to a service with this.
    pub fn status(&self, service: &str, status: u16, headers: &[(&str, &str)], body: &str) {
        self.add(Fault::always(service, response(status, headers, body)));
    }

    /// Responds to the next requests to a service with these statuses, in this order.
    pub fn statuses(&self, service: &str, statuses: &[u16]) {
        for status in statuses {
            self.add(Fault::once(service, response(*status, &[], "")));
        }
    }

    /// Removes all faults. Requests that hang continue.
    pub fn clear(&self) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.changes.send_modify(|count| *count += 1);
    }

    /// Takes the fault for a request, and counts it.
    pub(crate) fn take(&self, service: &str, path: &str) -> Option<FaultKind> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let matches = |fault: &Fault| fault.service == service && path.starts_with(&fault.path);
        let index = faults.iter().position(matches)?;
        let fault = faults.get_mut(index)?;
        let kind = fault.kind.clone();
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                faults.remove(index);
            }
        }
        Some(kind)
    }

    /// Notifies of each change from now on. Call it before [`take`](Self::take), to miss none.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> FaultKind {
    let headers =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    FaultKind::Respond { status, headers, body: body.to_owned() }
}

pub(crate) fn delay(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
