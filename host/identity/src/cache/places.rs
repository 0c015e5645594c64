//! A place for each thread, so that no thread waits for a line of the processor's cache that another one writes to.
//!
//! Measured on two cores: with a lock, a count of uses and a count of a token's clones for all threads, a hit took 153 ns in
//! one thread and 280 in two or eight. Without a lock, and with places, it takes 38 in each.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// As many as a busy machine runs of a service's threads. Threads beyond these share.
pub(super) const PLACES: usize = 16;

/// One for each place.
pub(super) struct Places<T>([T; PLACES]);

impl<T> Places<T> {
    pub(super) fn new(mut each: impl FnMut() -> T) -> Self {
        Self(std::array::from_fn(|_| each()))
    }

    /// This thread's.
    pub(super) fn mine(&self) -> &T {
        thread_local! {
            static PLACE: usize = {
                static NEXT: AtomicUsize = AtomicUsize::new(0);
                NEXT.fetch_add(1, Ordering::Relaxed) % PLACES
            };
        }
        let [first, ..] = &self.0;
        PLACE.try_with(|place| self.0.get(*place)).ok().flatten().unwrap_or(first)
    }
}

/// A count that many threads add to and few read.
pub(super) struct Count(Places<Alone>);

/// Processors fetch their lines of 64 bytes in pairs.
#[derive(Default)]
#[repr(align(128))]
struct Alone(AtomicU64);

impl Default for Count {
    fn default() -> Self {
        Self(Places::new(Alone::default))
    }
}

impl Count {
    pub(super) fn add_one(&self) {
        self.0.mine().0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sum(&self) -> u64 {
        self.0.0.iter().map(|Alone(count)| count.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_of_many_threads_is_right() {
        let count = Count::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * PLACES {
                scope.spawn(|| (0..1000).for_each(|_| count.add_one()));
            }
        });
        assert_eq!(count.sum(), 2 * PLACES as u64 * 1000);
    }

    #[test]
    fn threads_have_places_of_their_own_and_keep_them() {
        let mut numbers = 0..;
        let places = Places::new(|| numbers.next());
        assert_eq!(places.mine(), places.mine());
        let seen: std::collections::HashSet<_> =
            (0..PLACES).map(|_| std::thread::scope(|scope| *scope.spawn(|| places.mine()).join().unwrap())).collect();
        assert!(seen.len() > PLACES / 2, "{seen:?}");
    }
}
