//! A connection on loan from the pool.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

use crate::connection::Connection;
use crate::error::{DriverError, ProtocolError, SessionError};
use crate::hooks::SessionHooks;
use crate::idle::IdleConnections;
use crate::wire::WireState;

/// A connection on loan from the pool. It returns when this is dropped, if it can be used again.
pub(crate) struct Lease {
    state: Mutex<State>,
    reusable: AtomicBool,
    idle: Arc<IdleConnections>,
    /// That of `idle` when the lease began.
    generation: u64,
    hooks: Arc<dyn SessionHooks>,
    wire: Arc<WireState>,
    /// Released last, so that a session that waits for it finds the connection.
    _permit: OwnedSemaphorePermit,
}

enum State {
    /// No request runs.
    Ready(Box<Connection>),
    /// A query has the connection.
    Taken,
    /// The connection was closed.
    Closed,
}

impl Lease {
    pub(crate) fn new(
        connection: Box<Connection>,
        (idle, generation): (Arc<IdleConnections>, u64),
        hooks: Arc<dyn SessionHooks>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let wire = Arc::clone(&connection.wire);
        let state = Mutex::new(State::Ready(connection));
        Self {
            state,
            reusable: AtomicBool::new(true),
            idle,
            generation,
            hooks,
            wire,
            _permit: permit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hooks(&self) -> &Arc<dyn SessionHooks> {
        &self.hooks
    }

    /// Sets whether another session may use the connection.
    pub(crate) fn set_reusable(&self, reusable: bool) {
        self.reusable.store(reusable, Ordering::Relaxed);
    }

    pub(crate) fn is_reusable(&self) -> bool {
        self.reusable.load(Ordering::Relaxed)
    }

    /// How many bytes of the current row have arrived.
    pub(crate) fn row_bytes(&self) -> u64 {
        self.wire.row_bytes()
    }

    /// Limits the rows that are about to be read, as the session's user has it now.
    pub(crate) fn limit_rows(&self) {
        self.wire.limit_rows(self.hooks.max_row_bytes());
    }

    /// Takes the connection for a request. [`put_back`](Self::put_back), [`fail`](Self::fail) or
    /// [`close`](Self::close) follows.
    pub(crate) fn take(&self) -> Result<Box<Connection>, SessionError> {
        let mut state = self.lock();
        match mem::replace(&mut *state, State::Taken) {
            State::Ready(connection) => {
                self.wire.begin_row();
                self.limit_rows();
                Ok(connection)
            }
            State::Taken => Err(SessionError::UnreadResults),
            State::Closed => {
                *state = State::Closed;
                Err(SessionError::Closed)
            }
        }
    }

    /// Puts the connection back after a request.
    pub(crate) fn put_back(&self, connection: Box<Connection>) {
        *self.lock() = State::Ready(connection);
    }

    /// The connection was closed, or is about to be.
    pub(crate) fn close(&self) {
        *self.lock() = State::Closed;
    }

    /// Puts the connection back after a request that failed, if it can be used further.
    pub(crate) fn fail(
        &self,
        connection: Box<Connection>,
        error: tiberius::error::Error,
    ) -> SessionError {
        let mut redacted = false;
        let error = DriverError::new(error, &*connection.redactor, &mut redacted);
        if redacted {
            self.hooks.redacted();
        }
        let error = match error {
            // `tiberius` returns an error of the server when it has read the whole response.
            DriverError::Server(error) if !error.is_fatal() => {
                self.put_back(connection);
                return SessionError::Server(error);
            }
            DriverError::Server(error) => SessionError::Server(error),
            DriverError::Protocol(error) => match connection.wire.exceeded_row_limit() {
                Some(limit) => SessionError::RowTooLong { limit },
                None => SessionError::Broken(error),
            },
            DriverError::Redirect { .. } => {
                let message = "a redirect after the login".to_owned();
                SessionError::Broken(ProtocolError::Malformed(message))
            }
        };
        self.close();
        error
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let State::Ready(connection) = mem::replace(state, State::Closed)
            && *self.reusable.get_mut()
        {
            self.idle.put(connection, self.generation);
        }
    }
}
