//! Sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::connection::Client;
use crate::error::SessionError;
use crate::lease::Lease;
use crate::parameter;
use crate::quiet::quietly;
use crate::results::Results;
use crate::transaction::{self, End, Isolation};
use crate::value::Value;

/// A session with a database.
///
/// Its requests run one after another. When it and its [`Results`] are dropped, the connection
/// returns to the pool, unless a transaction is open, a query runs, or it broke: then it is closed.
pub struct Session {
    lease: Arc<Lease>,
    reused: bool,
    transaction_open: AtomicBool,
}

impl Session {
    pub(crate) fn new(lease: Lease, reused: bool) -> Self {
        Self { lease: Arc::new(lease), reused, transaction_open: AtomicBool::new(false) }
    }

    /// Whether the session's connection has been used by another one before.
    #[must_use]
    pub fn is_reused(&self) -> bool {
        self.reused
    }

    /// Whether a transaction is open that [`begin`](Self::begin) began.
    #[must_use]
    pub fn is_transaction_open(&self) -> bool {
        self.transaction_open.load(Ordering::Relaxed)
    }

    /// Runs statements. Their results are read while they run.
    ///
    /// # Errors
    ///
    /// See [`SessionError`].
    pub async fn query(
        &self,
        statement: String,
        parameters: Vec<Value>,
        timeout: Option<Duration>,
    ) -> Result<Results, SessionError> {
        let query = parameter::query(statement, parameters)?;
        Results::start(Arc::clone(&self.lease), query, timeout).await
    }

    /// Runs statements, and returns how many rows each of them affected.
    ///
    /// # Errors
    ///
    /// See [`SessionError`].
    pub async fn execute(
        &self,
        statement: String,
        parameters: Vec<Value>,
        timeout: Option<Duration>,
    ) -> Result<Vec<u64>, SessionError> {
        let query = parameter::query(statement, parameters)?;
        let execute = async move |client: &mut Client| {
            Ok(query.execute(client).await?.rows_affected().to_vec())
        };
        self.exchange(timeout, execute).await
    }

    /// Begins a transaction, at the server's default level if none is given.
    ///
    /// # Errors
    ///
    /// A transaction is open already, or the request failed.
    pub async fn begin(&self, isolation: Option<Isolation>) -> Result<(), SessionError> {
        if self.is_transaction_open() {
            return Err(SessionError::TransactionOpen);
        }
        // A level outlasts its transaction, and not every server resets it with the rest of the
        // connection's state.
        let level = isolation.and_then(Isolation::deviating);
        self.lease.set_reusable(level.is_none());
        self.run_batch(transaction::begin(level)).await?;
        self.transaction_open.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Commits the transaction.
    ///
    /// # Errors
    ///
    /// No transaction is open, or the request failed.
    pub async fn commit(&self) -> Result<(), SessionError> {
        self.end(End::Commit).await
    }

    /// Rolls the transaction back.
    ///
    /// # Errors
    ///
    /// No transaction is open, or the request failed.
    pub async fn rollback(&self) -> Result<(), SessionError> {
        self.end(End::Rollback).await
    }

    async fn end(&self, end: End) -> Result<(), SessionError> {
        if !self.is_transaction_open() {
            return Err(SessionError::NoTransaction);
        }
        let ended = self.run_batch(transaction::end(end, !self.lease.is_reusable())).await;
        if ended.is_ok() {
            self.lease.set_reusable(true);
        }
        // If the server refuses to commit, the transaction is gone or lost. The pool checks whether
        // it is still open.
        self.transaction_open.store(false, Ordering::Relaxed);
        ended
    }

    async fn run_batch(&self, batch: String) -> Result<(), SessionError> {
        let run = async move |client: &mut Client| {
            client.simple_query(batch).await?.into_results().await?;
            Ok(())
        };
        self.exchange(None, run).await
    }

    /// Sends a request and reads the whole response.
    async fn exchange<T>(
        &self,
        timeout: Option<Duration>,
        exchange: impl AsyncFnOnce(&mut Client) -> tiberius::Result<T>,
    ) -> Result<T, SessionError> {
        let mut connection = self.lease.take()?;
        // If this future is dropped, it closes the connection, and with it what runs there.
        self.lease.close();
        connection.wire.tokens.record_money(false);
        let exchange = quietly(exchange(&mut connection.client));
        let exchanged = match timeout {
            None => exchange.await,
            Some(timeout) => match tokio::time::timeout(timeout, exchange).await {
                Ok(exchanged) => exchanged,
                Err(_) => return Err(SessionError::TimedOut),
            },
        };
        self.lease.hooks().progress();
        match exchanged {
            Ok(value) => {
                self.lease.put_back(connection);
                Ok(value)
            }
            Err(error) => Err(self.lease.fail(connection, error)),
        }
    }
}
