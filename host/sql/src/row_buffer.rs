//! Results that wait for their reader.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use crate::hooks::SessionHooks;
use crate::value::{Column, Item, Value};

/// How many bytes of rows are buffered, approximately.
const CAPACITY: usize = 64 << 10;

/// What each entry takes beside its contents, approximately.
const ENTRY_SIZE: usize = 64;

/// Results that wait for their reader.
pub(crate) struct RowBuffer {
    entries: Mutex<Entries>,
    hooks: Arc<dyn SessionHooks>,
}

#[derive(Default)]
struct Entries {
    queue: VecDeque<Entry>,
    bytes: usize,
}

struct Entry {
    contents: Contents,
    bytes: usize,
}

enum Contents {
    Columns(Vec<Column>),
    Row(Vec<Value>),
}

impl RowBuffer {
    pub(crate) fn new(hooks: Arc<dyn SessionHooks>) -> Self {
        Self { entries: Mutex::default(), hooks }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, contents: Contents, bytes: usize) {
        let bytes = ENTRY_SIZE + bytes;
        self.hooks.hold_rows(bytes as u64);
        let mut entries = self.lock();
        entries.bytes += bytes;
        entries.queue.push_back(Entry { contents, bytes });
    }

    pub(crate) fn push_columns(&self, columns: Vec<Column>) {
        let bytes = columns.iter().map(|column| column.name.len() + size_of::<Column>()).sum();
        self.push(Contents::Columns(columns), bytes);
    }

    pub(crate) fn push_row(&self, row: Vec<Value>) {
        let bytes = row.iter().map(Value::size).sum();
        self.push(Contents::Row(row), bytes);
    }

    /// Waits until there is room. Does not register a waker: the reader polls again after it has
    /// taken something.
    pub(crate) async fn room(&self) {
        let has_room = || self.lock().bytes < CAPACITY;
        std::future::poll_fn(|_| if has_room() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().queue.is_empty()
    }

    /// Whether it has so many entries, or is full.
    pub(crate) fn has(&self, count: usize) -> bool {
        let entries = self.lock();
        entries.queue.len() >= count || entries.bytes >= CAPACITY
    }

    /// Takes the columns of the next result set, or at most so many rows of the current one.
    pub(crate) fn next(&self, max_rows: usize) -> Option<Item> {
        let mut entries = self.lock();
        let before = entries.bytes;
        let item = entries.next(max_rows);
        self.hooks.release_rows((before - entries.bytes) as u64);
        item
    }
}

impl Entries {
    fn next(&mut self, max_rows: usize) -> Option<Item> {
        let mut rows = Vec::new();
        while rows.len() < max_rows
            && let Some(Entry { contents, bytes }) = self.queue.pop_front()
        {
            match contents {
                Contents::Row(row) => {
                    self.bytes -= bytes;
                    rows.push(row);
                }
                Contents::Columns(columns) if rows.is_empty() => {
                    self.bytes -= bytes;
                    return Some(Item::Columns(columns));
                }
                columns @ Contents::Columns(_) => {
                    self.queue.push_front(Entry { contents: columns, bytes });
                    break;
                }
            }
        }
        (!rows.is_empty()).then_some(Item::Rows(rows))
    }
}

impl Drop for RowBuffer {
    fn drop(&mut self) {
        self.hooks.release_rows(self.lock().bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::hooks::Redact;
    use crate::value::DataType;

    /// Counts the bytes that wait.
    #[derive(Default)]
    struct Waiting(AtomicU64);

    impl SessionHooks for Waiting {
        fn redactor(&self) -> Box<dyn Redact> {
            panic!("nothing is redacted")
        }

        fn may_redirect(&self, _: &str, _: u16) -> bool {
            false
        }

        fn progress(&self) {}

        fn redacted(&self) {}

        fn max_row_bytes(&self) -> Option<u64> {
            None
        }

        fn hold_rows(&self, bytes: u64) {
            self.0.fetch_add(bytes, Ordering::Relaxed);
        }

        fn release_rows(&self, bytes: u64) {
            self.0.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    fn buffer() -> (RowBuffer, Arc<Waiting>) {
        let waiting = Arc::<Waiting>::default();
        (RowBuffer::new(Arc::clone(&waiting) as Arc<dyn SessionHooks>), waiting)
    }

    fn columns() -> Vec<Column> {
        vec![Column { name: "id".to_owned(), data_type: DataType::Int }]
    }

    #[test]
    fn rows_are_read_in_parts_that_end_with_their_result_set() {
        let (buffer, waiting) = buffer();
        let row = |value| vec![Value::Int(value)];
        buffer.push_columns(columns());
        for value in 1..=3 {
            buffer.push_row(row(value));
        }
        buffer.push_columns(columns());
        assert_eq!(buffer.next(2), Some(Item::Columns(columns())));
        assert_eq!(buffer.next(2), Some(Item::Rows(vec![row(1), row(2)])));
        assert_eq!(buffer.next(2), Some(Item::Rows(vec![row(3)])));
        assert_eq!(buffer.next(2), Some(Item::Columns(columns())));
        assert_eq!(buffer.next(2), None);
        assert_eq!(buffer.lock().bytes, 0);
        assert_eq!(waiting.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_buffer_is_full_by_bytes_and_has_room_again_when_it_is_read() {
        let (buffer, waiting) = buffer();
        assert!(!buffer.has(1));
        buffer.push_row(vec![Value::Binary(vec![0; CAPACITY])]);
        assert!(buffer.has(1) && buffer.has(100));
        buffer.next(1);
        assert!(buffer.is_empty() && !buffer.has(1));
        buffer.push_row(vec![Value::Binary(vec![0; CAPACITY])]);
        assert!(waiting.0.load(Ordering::Relaxed) >= CAPACITY as u64);
        drop(buffer);
        assert_eq!(waiting.0.load(Ordering::Relaxed), 0);
    }
}
