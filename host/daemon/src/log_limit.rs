//! Limits lines of the log that a caller can cause as often as it likes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The shortest time between two lines.
const INTERVAL: Duration = Duration::from_secs(10);

/// Permits one line in [`INTERVAL`], and counts the others.
#[derive(Debug)]
pub(crate) struct LogLimit(Mutex<State>);

#[derive(Debug)]
struct State {
    last: Option<Instant>,
    left_out: u64,
}

impl LogLimit {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(State { last: None, left_out: 0 }))
    }

    /// Whether a line may be logged: then how many were left out since the last one, which belongs
    /// into the line.
    pub(crate) fn permit(&self) -> Option<u64> {
        self.permit_at(Instant::now())
    }

    fn permit_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < INTERVAL) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_an_interval_has_the_count_of_those_that_were_left_out() {
        let (limit, start) = (LogLimit::new(), Instant::now());
        assert_eq!(limit.permit_at(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(limit.permit_at(start + INTERVAL / 2), None);
        }
        assert_eq!(limit.permit_at(start + INTERVAL), Some(1000));
        assert_eq!(limit.permit_at(start + INTERVAL * 2), Some(0));
    }
}
