//! A pool of connections.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::connector::Connect;
use crate::error::OpenError;
use crate::hooks::SessionHooks;
use crate::idle::{IdleConnections, WallClock};
use crate::lease::Lease;
use crate::limits::Limits;
use crate::opener::Opener;
use crate::session::Session;
use crate::target::Target;

/// A pool of connections, each for one [`Target`].
///
/// A connection returns to the pool only when it is certain that no transaction is open on it. The
/// server resets it before its next request, so that nothing of one session is seen by another.
pub struct Pool<C> {
    opener: Opener<C>,
    limits: Limits,
    permits: Arc<Semaphore>,
    idle: Arc<IdleConnections>,
}

impl<C: Connect> Pool<C> {
    /// Creates a pool without connections.
    #[must_use]
    pub fn new(opener: Opener<C>, limits: Limits, clock: WallClock) -> Self {
        let permits = Arc::new(Semaphore::new(limits.connections as usize));
        Self { opener, limits, permits, idle: IdleConnections::new(limits, clock) }
    }

    /// Opens a session, on an unused connection to the target or a new one.
    ///
    /// # Errors
    ///
    /// All connections are in use, or the server cannot be reached, cannot be trusted or does not
    /// accept the login. [`OpenError`] tells them apart.
    pub async fn open(
        &self,
        target: Target,
        hooks: Arc<dyn SessionHooks>,
    ) -> Result<Session, OpenError<C::Error>> {
        let permit = self.permit().await?;
        // Before the login, so that one with a credential from before `close_all` is not pooled.
        let generation = self.idle.generation();
        let (connection, reused) = match self.idle.take(&target) {
            Some(connection) => (connection, true),
            None => {
                let in_use = self.limits.connections as usize - self.permits.available_permits();
                self.idle.shrink_to((self.limits.connections as usize).saturating_sub(in_use));
                (self.opener.open(&target, &*hooks).await?, false)
            }
        };
        let lease = Lease::new(connection, (Arc::clone(&self.idle), generation), hooks, permit);
        Ok(Session::new(lease, reused))
    }

    /// Closes all connections: unused ones at once, and those of sessions when these are dropped.
    /// Returns how many were unused.
    pub fn close_all(&self) -> usize {
        self.idle.close_all()
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, OpenError<C::Error>> {
        let permit = Arc::clone(&self.permits).acquire_owned();
        match tokio::time::timeout(self.limits.wait, permit).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => {
                Err(OpenError::Exhausted { connections: self.limits.connections })
            }
        }
    }
}
