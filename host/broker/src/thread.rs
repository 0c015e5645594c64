//! Which thread this is: what one thread opened is best used by the same, since nobody else need be
//! woken for it.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of this thread, among those that asked.
pub(crate) fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    std::thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}
