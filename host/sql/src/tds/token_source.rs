//! Source of a token parser's bytes, and the state that earlier tokens reported.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use crate::value::DataType;

/// The money type of each column of a result set; `None` for columns of other types.
pub(crate) type MoneyColumns = Vec<Option<DataType>>;

/// The state of a connection that its tokens have reported so far.
#[derive(Default)]
struct StreamState {
    /// Whether a transaction is open.
    transaction_open: bool,
    /// Whether a token or a type was not recognized. Nothing behind it is read.
    unreadable: bool,
    /// Whether a token began since [`TokenSource::take_token_began`] was last called.
    token_began: bool,
    /// Whether money columns are recorded.
    records_money: bool,
    /// The recorded result sets that have not been read yet.
    money: VecDeque<MoneyColumns>,
}

#[derive(Default)]
struct Inner {
    /// The part of a response that is being read.
    bytes: Vec<u8>,
    /// How many of the bytes were read.
    position: usize,
    state: StreamState,
}

/// Supplies the bytes of responses to a token parser as they arrive, and holds what it found in
/// them.
///
/// Clones share the bytes and the state. Reading waits for bytes without registering a waker: the
/// parser must be polled after each [`load`](Self::load).
#[derive(Clone, Default)]
pub(crate) struct TokenSource(Arc<Mutex<Inner>>);

impl TokenSource {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is certain that no transaction is open.
    pub(crate) fn is_transaction_free(&self) -> bool {
        let inner = self.lock();
        !inner.state.transaction_open && !inner.state.unreadable
    }

    /// Takes the money columns of the oldest recorded result set.
    pub(crate) fn next_money_columns(&self) -> Option<MoneyColumns> {
        self.lock().state.money.pop_front()
    }

    /// Sets whether money columns are recorded from now on, and discards those that were.
    pub(crate) fn record_money(&self, record: bool) {
        let mut inner = self.lock();
        inner.state.money.clear();
        inner.state.records_money = record;
    }

    /// Whether a token began since the last call. By then everything before it was read or
    /// discarded.
    pub(super) fn take_token_began(&self) -> bool {
        std::mem::take(&mut self.lock().state.token_began)
    }

    /// Provides the next bytes. Returns whether the parser can read them.
    pub(super) fn load(&self, bytes: &[u8]) -> bool {
        let mut inner = self.lock();
        if inner.state.unreadable {
            return false;
        }
        inner.bytes.clear();
        inner.bytes.extend_from_slice(bytes);
        inner.position = 0;
        true
    }

    /// Copies the bytes back as the parser left them. `unreadable` is set if the parser has ended.
    pub(super) fn unload(&self, bytes: &mut [u8], unreadable: bool) {
        let mut inner = self.lock();
        inner.state.unreadable = unreadable;
        bytes.copy_from_slice(&inner.bytes);
    }

    pub(super) fn set_token_began(&self) {
        self.lock().state.token_began = true;
    }

    pub(super) fn set_transaction_open(&self, open: bool) {
        self.lock().state.transaction_open = open;
    }

    pub(super) fn push_money_columns(&self, columns: MoneyColumns) {
        let mut inner = self.lock();
        if inner.state.records_money {
            inner.state.money.push_back(columns);
        }
    }

    pub(super) async fn array<const N: usize>(&self) -> [u8; N] {
        let mut array = [0; N];
        let mut filled = 0;
        std::future::poll_fn(|_| {
            let mut inner = self.lock();
            let inner = &mut *inner;
            let rest = inner.bytes.get(inner.position..).unwrap_or_default();
            let copied =
                array.iter_mut().skip(filled).zip(rest).map(|(to, from)| *to = *from).count();
            filled += copied;
            inner.position += copied;
            if filled == N { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        array
    }

    pub(super) async fn u8(&self) -> u8 {
        u8::from_le_bytes(self.array().await)
    }

    pub(super) async fn u16(&self) -> u16 {
        u16::from_le_bytes(self.array().await)
    }

    pub(super) async fn u32(&self) -> u32 {
        u32::from_le_bytes(self.array().await)
    }

    pub(super) async fn u64(&self) -> u64 {
        u64::from_le_bytes(self.array().await)
    }

    pub(super) async fn skip(&self, bytes: impl Into<u64>) {
        let mut left = bytes.into();
        std::future::poll_fn(|_| {
            let mut inner = self.lock();
            let available = inner.bytes.len() - inner.position;
            let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(available);
            inner.position += skipped;
            left -= skipped as u64;
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Skips a `B_VARCHAR`: UTF-16 behind a count of code units in one byte.
    pub(super) async fn skip_b_varchar(&self) {
        let units = self.u8().await;
        self.skip(u64::from(units) * 2).await;
    }

    /// Skips a `US_VARCHAR`: UTF-16 behind a count of code units in two bytes.
    pub(super) async fn skip_us_varchar(&self) {
        let units = self.u16().await;
        self.skip(u64::from(units) * 2).await;
    }

    /// Replaces the byte that was read last.
    pub(super) fn replace_last(&self, byte: u8) {
        let mut inner = self.lock();
        let last = inner.position.wrapping_sub(1);
        if let Some(slot) = inner.bytes.get_mut(last) {
            *slot = byte;
        }
    }
}
