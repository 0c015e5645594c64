//! The connections of a pool that are not in use.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crate::connection::Connection;
use crate::limits::Limits;
use crate::target::Target;

/// Returns the time since 1970-01-01T00:00:00Z, by which tokens expire.
pub type WallClock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// A connection is not used within the last minute of its token, so that no request begins on one
/// that the server is about to close.
const EXPIRY_MARGIN: u64 = 60;

/// The connections of a pool that are not in use.
pub(crate) struct IdleConnections {
    limits: Limits,
    clock: WallClock,
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    /// The one that was used last is the last.
    connections: VecDeque<Box<Connection>>,
    /// Whether a task closes those that expire.
    is_swept: bool,
    /// How often all connections were closed.
    generation: u64,
}

impl IdleConnections {
    pub(crate) fn new(limits: Limits, clock: WallClock) -> Arc<Self> {
        Arc::new(Self { limits, clock, list: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the connection for a target that was used last, if possible one that this thread
    /// opened. Those that cannot be used any more are closed.
    pub(crate) fn take(&self, target: &Target) -> Option<Box<Connection>> {
        let mut list = self.lock();
        let thread = thread::current().id();
        let position = |list: &List| {
            let same = |connection: &Connection| connection.target().is_same(target);
            let connections = &list.connections;
            let own = connections.iter().rposition(|it| it.thread() == thread && same(it));
            own.or_else(|| connections.iter().rposition(|it| same(it)))
        };
        while let Some(index) = position(&list)
            && let Some(connection) = list.connections.remove(index)
        {
            // A connection with an older token than the current one is retired.
            let has_current_token =
                connection.target().login.expires_on() == target.login.expires_on();
            if has_current_token && self.is_fresh(&connection) && connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    fn is_fresh(&self, connection: &Connection) -> bool {
        let now = (self.clock)().as_secs();
        let expires_on = connection.target().login.expires_on();
        expires_on.is_none_or(|expires_on| expires_on > now + EXPIRY_MARGIN)
            && connection.age() < self.limits.age
            && connection.idle_time() < self.limits.idle
    }

    /// Closes all but this many connections.
    pub(crate) fn shrink_to(&self, count: usize) {
        let mut list = self.lock();
        let surplus = list.connections.len().saturating_sub(count);
        drop(list.connections.drain(..surplus));
    }

    /// The generation that a lease gives back with its connection.
    pub(crate) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Closes all connections, those in use when they come back. Returns how many were not in use.
    pub(crate) fn close_all(&self) -> usize {
        let mut list = self.lock();
        list.generation += 1;
        list.connections.drain(..).count()
    }

    /// Takes a connection back after its use. One on which a transaction may be open is closed, and
    /// so is one of an older generation.
    pub(crate) fn put(self: &Arc<Self>, mut connection: Box<Connection>, generation: u64) {
        // Without a runtime no task could close it.
        let has_runtime = tokio::runtime::Handle::try_current().is_ok();
        if !has_runtime || !connection.wire.tokens.is_transaction_free() {
            return;
        }
        connection.set_unused();
        let mut list = self.lock();
        if list.generation != generation {
            return;
        }
        list.connections.push_back(connection);
        if !list.is_swept {
            list.is_swept = true;
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes connections that cannot be used any more. Returns whether any are left.
    fn close_stale(&self) -> bool {
        let mut list = self.lock();
        list.connections.retain(|connection| self.is_fresh(connection) && connection.is_quiet());
        list.is_swept = !list.connections.is_empty();
        list.is_swept
    }
}

/// Closes connections that cannot be used any more, until none is left.
async fn sweep(idle: Weak<IdleConnections>) {
    loop {
        let Some(connections) = idle.upgrade() else { return };
        let pause = connections.limits.idle / 4;
        drop(connections);
        let (shortest, longest) = (Duration::from_millis(100), Duration::from_secs(30));
        tokio::time::sleep(pause.clamp(shortest, longest)).await;
        let Some(connections) = idle.upgrade() else { return };
        if !connections.close_stale() {
            return;
        }
    }
}
