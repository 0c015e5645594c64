//! An answer on its way: tokens are gathered, and leave in pieces as large as a packet. Whoever makes it waits where the
//! client does not read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::InterruptHandle;
use rusqlite::types::Value;
use tokio::sync::mpsc;

use super::encode;
use super::sql_error::{SqlError, Stop};
use super::token::{self, Column};

/// Stops what a session is doing.
pub(super) struct Cancel {
    interrupt: InterruptHandle,
    flag: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Cancel {
    pub(super) fn new(interrupt: InterruptHandle) -> Arc<Self> {
        Arc::new(Self { interrupt, flag: AtomicBool::new(false), lock: Mutex::default(), wake: Condvar::new() })
    }

    pub(super) fn cancel(&self) {
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.flag.store(true, Ordering::SeqCst);
        self.interrupt.interrupt();
        self.wake.notify_all();
        drop(guard);
    }

    pub(super) fn forget(&self) {
        self.flag.store(false, Ordering::SeqCst);
    }

    pub(super) fn check(&self) -> Result<(), Stop> {
        if self.flag.load(Ordering::SeqCst) { Err(Stop::Cancelled) } else { Ok(()) }
    }

    /// Waits so long, or until it is cancelled.
    pub(super) fn wait(&self, duration: Duration) -> Result<(), Stop> {
        let end = Instant::now() + duration;
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            guard = self.wake.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// An answer that is being made.
pub(super) struct Answer {
    buffer: Vec<u8>,
    piece: usize,
    sender: mpsc::Sender<Vec<u8>>,
    /// The end of the last statement, which says whether more comes.
    pending: Option<(u8, u16, u64)>,
    pub(super) cancel: Arc<Cancel>,
    /// Whether statements are a procedure's.
    pub(super) in_procedure: bool,
    /// The number of the first error, for the log.
    pub(super) first_error: Option<i32>,
}

impl Answer {
    pub(super) fn new(piece: usize, sender: mpsc::Sender<Vec<u8>>, cancel: Arc<Cancel>) -> Self {
        let (buffer, pending) = (Vec::new(), None);
        Self { buffer, piece, sender, pending, cancel, in_procedure: false, first_error: None }
    }

    /// Adds tokens.
    pub(super) fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Stop> {
        self.settle(true);
        write(&mut self.buffer);
        self.send()
    }

    fn settle(&mut self, more: bool) {
        if let Some((kind, status, rows)) = self.pending.take() {
            token::done(&mut self.buffer, kind, status | if more { token::MORE } else { 0 }, rows);
        }
    }

    /// Sends whole packets. The last one is kept, since it has to be marked as the last.
    fn send(&mut self) -> Result<(), Stop> {
        while self.buffer.len() > self.piece {
            let rest = self.buffer.split_off(self.piece);
            let piece = std::mem::replace(&mut self.buffer, rest);
            self.sender.blocking_send(piece).map_err(|_| Stop::Gone)?;
        }
        Ok(())
    }

    pub(super) fn columns(&mut self, columns: &[Column]) -> Result<(), Stop> {
        self.add(|out| token::columns(out, columns))
    }

    /// Adds a row, without the nulls where there are any.
    pub(super) fn row(&mut self, columns: &[Column], values: &[Value]) -> Result<(), Stop> {
        const ROW: u8 = 0xd1;
        const ROW_WITH_NULLS: u8 = 0xd2;
        self.cancel.check()?;
        let before = self.buffer.len();
        let has_null = values.contains(&Value::Null);
        self.buffer.push(if has_null { ROW_WITH_NULLS } else { ROW });
        if has_null {
            let bit = |(at, value): (usize, &Value)| u8::from(*value == Value::Null) << at;
            self.buffer.extend(values.chunks(8).map(|eight| eight.iter().enumerate().map(bit).sum::<u8>()));
        }
        for (column, value) in columns.iter().zip(values) {
            if *value != Value::Null
                && let Err(failure) = encode::value(&mut self.buffer, column.of, value)
            {
                self.buffer.truncate(before);
                return Err(failure.into());
            }
        }
        self.send()
    }

    /// Ends a statement.
    pub(super) fn done(&mut self, rows: Option<u64>) {
        self.settle(true);
        let kind = if self.in_procedure { token::DONE_IN_PROCEDURE } else { token::DONE };
        self.pending = Some((kind, rows.map_or(0, |_| token::COUNT), rows.unwrap_or_default()));
    }

    /// Tells an error, and ends its statement.
    pub(super) fn failed(&mut self, failure: &SqlError, line: u32) -> Result<(), Stop> {
        self.first_error.get_or_insert(failure.number);
        self.add(|out| token::failure(out, failure, "", line))?;
        let kind = if self.in_procedure { token::DONE_IN_PROCEDURE } else { token::DONE };
        self.pending = Some((kind, token::ERROR, 0));
        Ok(())
    }

    /// Ends a procedure.
    pub(super) fn procedure_done(&mut self, status: i32) -> Result<(), Stop> {
        self.add(|out| token::return_status(out, status))?;
        let error = if self.first_error.is_some() { token::ERROR } else { 0 };
        self.pending = Some((token::DONE_PROCEDURE, error, 0));
        Ok(())
    }

    /// Ends it. What has not been sent is the last packet.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.pending.is_none() {
            self.done(None);
        }
        self.settle(false);
        self.buffer
    }

    /// Ends it in the middle, because the client wants no more of it.
    pub(super) fn break_off(mut self) -> Vec<u8> {
        self.settle(true);
        let kind = if self.in_procedure { token::DONE_PROCEDURE } else { token::DONE };
        token::done(&mut self.buffer, kind, token::ERROR, 0);
        self.buffer
    }
}
