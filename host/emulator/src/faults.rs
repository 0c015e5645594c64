//! Misbehaviour, on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;

/// What a service does wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Misbehaviour {
    /// Answers with this.
    Answer {
        /// The status.
        status: u16,
        /// Header fields.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// Waits before it goes on as usual, in milliseconds.
    Delay(u64),
    /// Never answers, as long as the fault is on.
    Hang,
    /// Closes the connection without an answer.
    Close,
    /// Answers as usual, but breaks off after so many bytes of the body.
    Tear(usize),
    /// Answers as usual, but the body's first half is all there is, and the length says so too.
    HalfBody,
    /// Sends the `authorization` field back: in the body, cut into pieces of so many bytes, and in the field `x-echo`.
    Echo(usize),
    /// Sends the `authorization` field back compressed (gzip), whatever `accept-encoding` asks for, cut into pieces of so
    /// many bytes.
    EchoCompressed(usize),
    /// Answers as usual, but compresses the body (gzip), whatever `accept-encoding` asks for.
    Gzip,
    /// Waits for good after so many bytes of the body.
    Stall(usize),
    /// Answers with a body of so many bytes.
    Bytes(u64),
    /// Answers with a page of text in place of JSON.
    Html,
    /// Reads the whole body, keeps nothing of it, and answers 201: for uploads of gigabytes.
    Swallow,
    /// Reads nothing of the body until the faults change, then goes on as usual.
    HoldBody,
    /// Closes the connection after so many bytes of the request's body were read.
    TearAfterRequestBytes(usize),
    /// Answers before the request's body has come, and closes the connection.
    AnswerEarly {
        /// The status.
        status: u16,
        /// How many bytes of the body are read first, or few more.
        #[serde(default)]
        read: usize,
        /// Whether the connection is closed at once, which resets it where bytes of the body are unread. Else it stays
        /// open for a while, unread.
        #[serde(default)]
        at_once: bool,
    },
    /// Answers 307 with this `location`, and reads nothing of the body.
    Redirect(String),
    /// Answers with this error of SQL Server: 40613 (not available), 18456 (login failed), ... At a login that ends the connection.
    SqlError(i32),
    /// Sends a client that logs in on to another node, as Azure SQL's gateways do.
    SqlRoute {
        /// The node's name.
        host: String,
        /// Its port.
        port: u16,
    },
}

/// A misbehaviour, where and how often.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Fault {
    /// The service: `imds`, `vault`, `arm`, `blob`, `dfs` (Data Lake Gen2), `datalake` (Gen1), `sql`.
    pub service: String,
    /// What the path must begin with. For `sql` it is `LOGIN`, `READY` (just behind a login), `BATCH`, `RPC` or `TRANSACTION`. Of
    /// the misbehaviours it knows [`Delay`](Misbehaviour::Delay), [`Hang`](Misbehaviour::Hang), [`Close`](Misbehaviour::Close),
    /// [`Tear`](Misbehaviour::Tear), [`Stall`](Misbehaviour::Stall), [`Html`](Misbehaviour::Html) and
    /// [`Bytes`](Misbehaviour::Bytes) (garbage), [`SqlError`](Misbehaviour::SqlError), and, at `LOGIN`,
    /// [`SqlRoute`](Misbehaviour::SqlRoute).
    #[serde(default)]
    pub path: String,
    /// How often; `None` for always.
    #[serde(default)]
    pub times: Option<u32>,
    /// What it does.
    pub misbehaviour: Misbehaviour,
}

impl Fault {
    /// A fault of a service, at every path, always.
    #[must_use]
    pub fn always(service: &str, misbehaviour: Misbehaviour) -> Self {
        Self { service: service.to_owned(), path: String::new(), times: None, misbehaviour }
    }

    /// A fault of a service, at every path, once.
    #[must_use]
    pub fn once(service: &str, misbehaviour: Misbehaviour) -> Self {
        Self { times: Some(1), ..Self::always(service, misbehaviour) }
    }

    /// The same, at paths that begin so.
    #[must_use]
    pub fn at(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }
}

/// The faults that are on. The first that fits a request is taken.
#[derive(Clone, Debug)]
pub struct Faults {
    on: Arc<Mutex<VecDeque<Fault>>>,
    /// Changes whenever they do.
    changes: watch::Sender<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self { on: Arc::default(), changes: watch::channel(0).0 }
    }
}

impl Faults {
    /// Switches a fault on.
    pub fn add(&self, fault: Fault) {
        self.on.lock().unwrap_or_else(PoisonError::into_inner).push_back(fault);
        self.changes.send_modify(|count| *count += 1);
    }

    /// An answer with this status, always.
    pub fn status(&self, service: &str, status: u16, headers: &[(&str, &str)], body: &str) {
        self.add(Fault::always(service, answer(status, headers, body)));
    }

    /// Answers with these statuses, once each, in this order.
    pub fn statuses(&self, service: &str, statuses: &[u16]) {
        for status in statuses {
            self.add(Fault::once(service, answer(*status, &[], "")));
        }
    }

    /// Switches all off. What hangs goes on as usual.
    pub fn clear(&self) {
        self.on.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.changes.send_modify(|count| *count += 1);
    }

    /// The fault for a request, which is used up by this where it is not for always.
    pub(crate) fn take(&self, service: &str, path: &str) -> Option<Misbehaviour> {
        let mut on = self.on.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |fault: &Fault| fault.service == service && path.starts_with(&fault.path);
        let index = on.iter().position(fits)?;
        let fault = on.get_mut(index)?;
        let misbehaviour = fault.misbehaviour.clone();
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                on.remove(index);
            }
        }
        Some(misbehaviour)
    }

    /// Tells of each change from now on. It is taken before the fault, so that no change comes between.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Misbehaviour {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Misbehaviour::Answer { status, headers, body: body.to_owned() }
}

pub(crate) fn delay(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
