//! `[mount.NAME.pool]`: how a mount keeps its database connections.

use std::time::Duration;

use crate::document::Section;

/// How a mount keeps its database connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Connections at once, used and unused.
    pub connections: u32,
    /// How long a call waits for one where all are in use.
    pub wait: Duration,
    /// How long an unused one is kept.
    pub idle: Duration,
    /// How long one is used, whatever its token says.
    pub age: Duration,
}

impl Default for PoolConfig {
    /// What Microsoft's own drivers have, but for the time that an unused one is kept: Azure's gateways close those after half
    /// an hour.
    fn default() -> Self {
        Self {
            connections: 100,
            wait: Duration::from_secs(15),
            idle: Duration::from_secs(4 * 60),
            age: Duration::from_secs(3600),
        }
    }
}

impl PoolConfig {
    pub(super) fn read(section: Section<'_>) -> Self {
        let normal = Self::default();
        let duration = |key: &str, normal: Duration| {
            let example = humantime::format_duration(normal).to_string();
            let duration = section.duration(key, Duration::from_millis(10), Duration::from_secs(24 * 3600), &example);
            duration.map_or(normal, |duration| duration.value)
        };
        let connections = section.number("connections", 1, 4096, normal.connections.into());
        let pool = Self {
            connections: connections
                .map_or(normal.connections, |number| u32::try_from(number.value).unwrap_or(normal.connections)),
            wait: duration("wait", normal.wait),
            idle: duration("idle", normal.idle),
            age: duration("age", normal.age),
        };
        section.finish();
        pool
    }
}
