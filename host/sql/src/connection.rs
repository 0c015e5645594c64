//! A connection that is logged in.

use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use tokio_util::compat::Compat;

use crate::hooks::Redact;
use crate::socket::Socket;
use crate::target::Target;
use crate::wire::{Wire, WireState};

/// The driver.
pub(crate) type Client = tiberius::Client<Compat<Wire>>;

/// A connection that is logged in.
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) wire: Arc<WireState>,
    pub(crate) redactor: Box<dyn Redact>,
    socket: Socket,
    target: Target,
    /// The thread that opened it. Another one would have to wake that one.
    thread: ThreadId,
    opened: Instant,
    unused_since: Instant,
}

impl Connection {
    pub(crate) fn new(
        client: Client,
        wire: Arc<WireState>,
        redactor: Box<dyn Redact>,
        socket: Socket,
        target: Target,
    ) -> Self {
        let (thread, now) = (thread::current().id(), Instant::now());
        Self { client, wire, redactor, socket, target, thread, opened: now, unused_since: now }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn thread(&self) -> ThreadId {
        self.thread
    }

    /// How long ago it was opened.
    pub(crate) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// How long it has not been used.
    pub(crate) fn idle_time(&self) -> Duration {
        self.unused_since.elapsed()
    }

    /// Whether the server has neither sent anything unasked nor closed the connection.
    pub(crate) fn is_quiet(&self) -> bool {
        self.socket.is_quiet()
    }

    /// Prepares it for its next session, which begins with the state of a new connection.
    pub(crate) fn set_unused(&mut self) {
        self.unused_since = Instant::now();
        self.wire.reset_with_next_request();
        self.wire.limit_rows(None);
    }
}
