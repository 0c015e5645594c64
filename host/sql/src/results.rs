//! The results of a query, while it runs.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::TryStreamExt;
use tiberius::{Query, QueryItem, Row};
use tokio::time::Instant;

use crate::cell;
use crate::connection::Connection;
use crate::error::SessionError;
use crate::hooks::{Redact, SessionHooks, redact_text};
use crate::lease::Lease;
use crate::quiet::quietly;
use crate::row_buffer::RowBuffer;
use crate::value::{Column, DataType, Item, Value};

/// The results of a query, while it runs.
///
/// Only the reader drives it: the server waits for a reader that does not read. A query that is not
/// read to its end is cancelled when this is dropped, by closing its connection.
pub struct Results {
    lease: Arc<Lease>,
    /// `None` when the query has ended.
    query: Option<Pin<Box<dyn Future<Output = Finished> + Send>>>,
    buffer: Arc<RowBuffer>,
    deadline: Option<Instant>,
    /// How many bytes of a row that has not arrived whole are counted as waiting.
    partial_row: u64,
    /// The error that the query ended with, until it is returned.
    error: Option<SessionError>,
}

/// A query that has ended.
struct Finished {
    connection: Box<Connection>,
    result: tiberius::Result<()>,
}

impl Results {
    /// Starts a query, and waits for its first results or its end.
    pub(crate) async fn start(
        lease: Arc<Lease>,
        query: Query<'static>,
        timeout: Option<Duration>,
    ) -> Result<Self, SessionError> {
        let connection = lease.take()?;
        let buffer = Arc::new(RowBuffer::new(Arc::clone(lease.hooks())));
        let hooks = Arc::clone(lease.hooks());
        let query = quietly(run(connection, query, Arc::clone(&buffer), hooks));
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let query: Pin<Box<dyn Future<Output = Finished> + Send>> = Box::pin(query);
        let mut results =
            Self { lease, query: Some(query), buffer, deadline, partial_row: 0, error: None };
        results.drive(1).await?;
        match results.error.take() {
            Some(error) if results.buffer.is_empty() => Err(error),
            error => {
                results.error = error;
                Ok(results)
            }
        }
    }

    /// Returns the columns of the next result set, or at most so many rows of the current one.
    /// `None` at the end.
    ///
    /// # Errors
    ///
    /// The query failed, or exceeded its time limit. Results that arrived before are returned
    /// first.
    pub async fn next(&mut self, max_rows: u32) -> Result<Option<Item>, SessionError> {
        let max_rows = usize::try_from(max_rows).unwrap_or(usize::MAX).max(1);
        self.drive(max_rows).await?;
        let item = self.buffer.next(max_rows);
        self.lease.hooks().progress();
        match item {
            Some(item) => Ok(Some(item)),
            None => self.error.take().map_or(Ok(None), Err),
        }
    }

    /// Drives the query until there are so many entries, or the buffer is full, or there are some
    /// and no more at the moment, or the query has ended.
    async fn drive(&mut self, count: usize) -> Result<(), SessionError> {
        let deadline = self.deadline;
        // A timeout alone would never fire while rows arrive faster than they are read.
        let is_over = deadline.is_some_and(|deadline| deadline <= Instant::now());
        if is_over && self.query.is_some() {
            self.cancel();
            return Err(SessionError::TimedOut);
        }
        let driving = std::future::poll_fn(|cx| self.poll(cx, count));
        let Some(deadline) = deadline else {
            driving.await;
            return Ok(());
        };
        if tokio::time::timeout_at(deadline, driving).await.is_err() {
            self.cancel();
            return Err(SessionError::TimedOut);
        }
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_>, count: usize) -> Poll<()> {
        if self.query.is_none() || self.buffer.has(count) {
            return Poll::Ready(());
        }
        // What has arrived of a row does not lower its limit.
        self.count_partial_row(0);
        self.lease.limit_rows();
        let Some(query) = &mut self.query else { return Poll::Ready(()) };
        let polled = query.as_mut().poll(cx);
        self.count_partial_row(if polled.is_ready() { 0 } else { self.lease.row_bytes() });
        match polled {
            Poll::Ready(Finished { connection, result }) => {
                self.query = None;
                match result {
                    Ok(()) => self.lease.put_back(connection),
                    Err(error) => self.error = Some(self.lease.fail(connection, error)),
                }
                Poll::Ready(())
            }
            Poll::Pending if self.buffer.is_empty() => Poll::Pending,
            Poll::Pending => Poll::Ready(()),
        }
    }

    /// Counts bytes of a row that has not arrived whole.
    fn count_partial_row(&mut self, bytes: u64) {
        let before = std::mem::replace(&mut self.partial_row, bytes);
        if bytes > before {
            self.lease.hooks().hold_rows(bytes - before);
        } else if bytes < before {
            self.lease.hooks().release_rows(before - bytes);
        }
    }

    /// Closes the connection of a query that runs.
    fn cancel(&mut self) {
        self.count_partial_row(0);
        if self.query.take().is_some() {
            self.lease.close();
        }
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        self.cancel();
    }
}

async fn run(
    mut connection: Box<Connection>,
    query: Query<'static>,
    buffer: Arc<RowBuffer>,
    hooks: Arc<dyn SessionHooks>,
) -> Finished {
    let result = read(&mut connection, query, &buffer, &*hooks).await;
    Finished { connection, result }
}

async fn read(
    connection: &mut Connection,
    query: Query<'static>,
    buffer: &RowBuffer,
    hooks: &dyn SessionHooks,
) -> tiberius::Result<()> {
    let Connection { client, wire, redactor, .. } = connection;
    wire.tokens.record_money(true);
    let mut stream = query.query(client).await?;
    let mut types = Vec::new();
    while let Some(item) = stream.try_next().await? {
        let mut redacted = false;
        match item {
            QueryItem::Metadata(metadata) => {
                let mut money = wire.tokens.next_money_columns().unwrap_or_default().into_iter();
                let columns = metadata.columns().iter().map(|column| Column {
                    name: redact_text(column.name().into(), &**redactor, &mut redacted),
                    data_type: money.next().flatten().unwrap_or(column.column_type().into()),
                });
                let columns: Vec<Column> = columns.collect();
                types = columns.iter().map(|column| column.data_type).collect();
                buffer.push_columns(columns);
            }
            QueryItem::Row(row) => {
                wire.begin_row();
                buffer.push_row(values(row, &types, &**redactor, &mut redacted)?);
            }
        }
        if redacted {
            hooks.redacted();
        }
        buffer.room().await;
    }
    Ok(())
}

fn values(
    row: Row,
    types: &[DataType],
    redactor: &dyn Redact,
    redacted: &mut bool,
) -> tiberius::Result<Vec<Value>> {
    let cells = row.into_iter().zip(types);
    let values = cells.map(|(cell, data_type)| cell::read(cell, *data_type, redactor, redacted));
    values
        .collect::<Result<_, _>>()
        .map_err(|error| tiberius::error::Error::Conversion(error.to_string().into()))
}
