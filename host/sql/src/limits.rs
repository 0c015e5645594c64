//! Limits of a pool.

use std::time::Duration;

/// Limits of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many connections there may be at once, used and unused.
    pub connections: u32,
    /// How long a session waits for a connection while all are in use.
    pub wait: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// How long a connection is used.
    pub age: Duration,
}
