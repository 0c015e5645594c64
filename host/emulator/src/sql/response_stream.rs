//! A response: tokens are buffered and sent in packets. Writing blocks while the client does not
//! read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::InterruptHandle;
use rusqlite::types::Value;
use tokio::sync::mpsc;

use super::encode_value;
use super::sql_error::{SqlError, StatementError};
use super::tds_token::{self, Column};

/// Cancels the statement that a session runs.
pub(super) struct Cancellation {
    interrupt: InterruptHandle,
    flag: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Cancellation {
    pub(super) fn new(interrupt: InterruptHandle) -> Arc<Self> {
        Arc::new(Self {
            interrupt,
            flag: AtomicBool::new(false),
            lock: Mutex::default(),
            wake: Condvar::new(),
        })
    }

    pub(super) fn cancel(&self) {
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.flag.store(true, Ordering::SeqCst);
        self.interrupt.interrupt();
        self.wake.notify_all();
        drop(guard);
    }

    pub(super) fn reset(&self) {
        self.flag.store(false, Ordering::SeqCst);
    }

    pub(super) fn check(&self) -> Result<(), StatementError> {
        if self.flag.load(Ordering::SeqCst) { Err(StatementError::Cancelled) } else { Ok(()) }
    }

    /// Sleeps, or fails when it is cancelled.
    pub(super) fn sleep(&self, duration: Duration) -> Result<(), StatementError> {
        let end = Instant::now() + duration;
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            self.check()?;
            let remaining = end.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return Ok(());
            }
            guard =
                self.wake.wait_timeout(guard, remaining).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A response that is being written.
pub(super) struct ResponseStream {
    buffer: Vec<u8>,
    packet_size: usize,
    sender: mpsc::Sender<Vec<u8>>,
    /// The DONE token of the last statement, which has a flag for whether more follow.
    pending_done: Option<(u8, u16, u64)>,
    pub(super) cancellation: Arc<Cancellation>,
    /// Whether the statements are those of a procedure.
    pub(super) in_procedure: bool,
    /// The number of the first error, for the log.
    pub(super) first_error: Option<i32>,
}

impl ResponseStream {
    pub(super) fn new(
        packet_size: usize,
        sender: mpsc::Sender<Vec<u8>>,
        cancellation: Arc<Cancellation>,
    ) -> Self {
        let (buffer, pending_done) = (Vec::new(), None);
        Self {
            buffer,
            packet_size,
            sender,
            pending_done,
            cancellation,
            in_procedure: false,
            first_error: None,
        }
    }

    /// Writes tokens.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), StatementError> {
        self.write_pending_done(true);
        write(&mut self.buffer);
        self.send_full_packets()
    }

    fn write_pending_done(&mut self, has_more: bool) {
        if let Some((kind, status, rows)) = self.pending_done.take() {
            tds_token::done(
                &mut self.buffer,
                kind,
                status | if has_more { tds_token::MORE } else { 0 },
                rows,
            );
        }
    }

    /// Sends full packets. The last one stays in the buffer, since it has a flag.
    fn send_full_packets(&mut self) -> Result<(), StatementError> {
        let length = self.buffer.len().saturating_sub(1) / self.packet_size * self.packet_size;
        let rest = self.buffer.split_off(length);
        let packets = std::mem::replace(&mut self.buffer, rest);
        for packet in packets.chunks(self.packet_size) {
            self.sender.blocking_send(packet.to_vec()).map_err(|_| StatementError::Disconnected)?;
        }
        Ok(())
    }

    pub(super) fn write_columns(&mut self, columns: &[Column]) -> Result<(), StatementError> {
        self.write(|out| tds_token::columns(out, columns))
    }

    /// Writes a row. One with nulls has a bitmap of them.
    pub(super) fn write_row(
        &mut self,
        columns: &[Column],
        values: &[Value],
    ) -> Result<(), StatementError> {
        const ROW: u8 = 0xd1;
        const ROW_WITH_NULLS: u8 = 0xd2;
        self.cancellation.check()?;
        let before = self.buffer.len();
        let has_null = values.contains(&Value::Null);
        self.buffer.push(if has_null { ROW_WITH_NULLS } else { ROW });
        if has_null {
            let bit = |(index, value): (usize, &Value)| u8::from(*value == Value::Null) << index;
            self.buffer.extend(
                values.chunks(8).map(|eight| eight.iter().enumerate().map(bit).sum::<u8>()),
            );
        }
        for (column, value) in columns.iter().zip(values) {
            if *value != Value::Null
                && let Err(error) =
                    encode_value::write_value(&mut self.buffer, column.sql_type, value)
            {
                self.buffer.truncate(before);
                return Err(error.into());
            }
        }
        self.send_full_packets()
    }

    /// Ends a statement.
    pub(super) fn end_statement(&mut self, rows: Option<u64>) {
        self.write_pending_done(true);
        let kind = if self.in_procedure { tds_token::DONE_IN_PROCEDURE } else { tds_token::DONE };
        self.pending_done =
            Some((kind, rows.map_or(0, |_| tds_token::COUNT), rows.unwrap_or_default()));
    }

    /// Writes an error, and ends its statement.
    pub(super) fn write_error(
        &mut self,
        error: &SqlError,
        line: u32,
    ) -> Result<(), StatementError> {
        self.first_error.get_or_insert(error.number);
        self.write(|out| tds_token::error(out, error, "", line))?;
        let kind = if self.in_procedure { tds_token::DONE_IN_PROCEDURE } else { tds_token::DONE };
        self.pending_done = Some((kind, tds_token::ERROR, 0));
        Ok(())
    }

    /// Ends a procedure.
    pub(super) fn end_procedure(&mut self, status: i32) -> Result<(), StatementError> {
        self.write(|out| tds_token::return_status(out, status))?;
        let error = if self.first_error.is_some() { tds_token::ERROR } else { 0 };
        self.pending_done = Some((tds_token::DONE_PROCEDURE, error, 0));
        Ok(())
    }

    /// Ends the response, and returns the body of the last packet.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.pending_done.is_none() {
            self.end_statement(None);
        }
        self.write_pending_done(false);
        self.buffer
    }

    /// Ends the response early, because the client has cancelled it.
    pub(super) fn abort(mut self) -> Vec<u8> {
        self.write_pending_done(true);
        let kind = if self.in_procedure { tds_token::DONE_PROCEDURE } else { tds_token::DONE };
        tds_token::done(&mut self.buffer, kind, tds_token::ERROR, 0);
        self.buffer
    }
}
