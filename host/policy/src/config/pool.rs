//! `[mount.NAME.pool]`: the pool of a mount's database connections.

use std::time::Duration;

use crate::document::{Section, SectionKeys, WithDefault};

/// The pool of a mount's database connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Open connections, in use and idle.
    pub connections: u32,
    /// How long a call waits for a connection while all are in use.
    pub wait: Duration,
    /// How long an idle connection stays open.
    pub idle: Duration,
    /// How long a connection is used, even if its token is valid for longer.
    pub age: Duration,
}

type Time = WithDefault<Duration>;

const BOUNDS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(24 * 3600));

// The defaults are those of Microsoft's drivers, except that an idle connection is closed before
// Azure's gateways do it, which is after half an hour.
const CONNECTIONS: WithDefault<u32> =
    WithDefault::<u32>::integer("connections", (1, 4096), 100, "open connections, in use and idle");
const WAIT: Time = Time::duration(
    "wait",
    BOUNDS,
    Duration::from_secs(15),
    "how long a call waits for a connection while all are in use",
);
const IDLE: Time = Time::duration(
    "idle",
    BOUNDS,
    Duration::from_secs(4 * 60),
    "how long an idle connection stays open",
);
const AGE: Time = Time::duration(
    "age",
    BOUNDS,
    Duration::from_secs(3600),
    "how long a connection is used, even if its token is valid for longer",
);

/// `[mount.NAME.pool]`.
pub(super) const POOL: SectionKeys = SectionKeys::new(
    &["mount", "NAME", "pool"],
    "Database connections of the mount.",
    &[&CONNECTIONS.key, &WAIT.key, &IDLE.key, &AGE.key],
);

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS.default,
            wait: WAIT.default,
            idle: IDLE.default,
            age: AGE.default,
        }
    }
}

impl PoolConfig {
    pub(super) fn read(section: Section<'_>) -> Self {
        let pool = Self {
            connections: section.integer(&CONNECTIONS),
            wait: section.duration_or_default(&WAIT),
            idle: section.duration_or_default(&IDLE),
            age: section.duration_or_default(&AGE),
        };
        section.finish();
        pool
    }
}
