//! `[mount.NAME.limits]`: limits of one call, and of the number of calls.

use std::time::Duration;

use crate::document::{Section, SectionKeys, WithDefault};

/// The limits of a mount. All but `concurrency` and `queue` are for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Concurrent calls.
    pub concurrency: u32,
    /// Calls that wait for another call to end. One more is denied at once.
    pub queue: u32,
    /// How long a call waits for another call to end.
    pub queue_time: Duration,
    /// Bytes of memory: all linear memories together, and what the host holds for the plugin.
    pub memory: u64,
    /// Table elements, all tables together.
    pub table_elements: u32,
    /// CPU time.
    pub cpu_time: Duration,
    /// Time without progress: no request, no response, and no byte of either body.
    pub idle_time: Duration,
    /// Wall time.
    pub wall_time: Duration,
    /// Time that the plugin may go on after its response is complete.
    pub finish_time: Duration,
    /// Requests that the plugin sends.
    pub requests: u32,
    /// Database connections that the plugin has open at once.
    pub connections: u32,
    /// Bytes that the plugin logs, which it writes to its standard output and standard error.
    pub log_bytes: u64,
    /// Bytes of one set of header fields, with their overhead in memory.
    pub header_bytes: u64,
    /// Handles of host resources that the plugin has: streams, bodies, header fields.
    pub resources: u32,
    /// Bytes that the plugin passes to the host in one host call.
    pub hostcall_bytes: u64,
}

type Count = WithDefault<u32>;
type Size = WithDefault<u64>;
type Time = WithDefault<Duration>;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const SHORTEST: Duration = Duration::from_millis(10);

const CONCURRENCY: Count = Count::integer("concurrency", (1, 4096), 128, "concurrent calls");
const QUEUE: Count = Count::integer(
    "queue",
    (1, 1_000_000),
    1024,
    "calls that wait for another call to end; one more is denied at once",
);
const QUEUE_TIME: Time = Time::duration(
    "queue_time",
    (SHORTEST, HOUR),
    Duration::from_secs(30),
    "how long a call waits for another call to end",
);
const MEMORY: Size = Size::size(
    "memory",
    (64 << 10, 1 << 30),
    64 << 20,
    "all that a call has: the linear memories of its sandbox, and what the host holds for it: header \
     fields, bodies that wait, requests under way, database rows",
);
const TABLE_ELEMENTS: Count = Count::integer(
    "table_elements",
    (1, 200_000),
    20_000,
    "elements of the sandbox's tables, all together",
);
const CPU_TIME: Time =
    Time::duration("cpu_time", (SHORTEST, HOUR), Duration::from_secs(10), "CPU time");
const IDLE_TIME: Time = Time::duration(
    "idle_time",
    (SHORTEST, DAY),
    Duration::from_secs(2 * 60),
    "time without any progress: no request, no response, and no byte of either body",
);
const WALL_TIME: Time =
    Time::duration("wall_time", (SHORTEST, Duration::from_secs(7 * 24 * 3600)), HOUR, "wall time");
const FINISH_TIME: Time = Time::duration(
    "finish_time",
    (SHORTEST, HOUR),
    Duration::from_secs(5),
    "time that the plugin may go on after its response is complete",
);
// A batch of 256 blobs needs two requests for each.
const REQUESTS: Count =
    Count::integer("requests", (1, 100_000), 520, "requests that the plugin sends");
const CONNECTIONS: Count = Count::integer(
    "connections",
    (1, 1000),
    4,
    "database connections that the plugin has open at once",
);
const LOG_BYTES: Size = Size::size("log_bytes", (0, 1 << 30), 64 << 10, "what the plugin logs");
const HEADER_BYTES: Size = Size::size(
    "header_bytes",
    (4 << 10, 1 << 20),
    64 << 10,
    "one set of header fields, with their overhead in memory",
);
const RESOURCES: Count = Count::integer(
    "resources",
    (1, 100_000),
    1000,
    "handles of host resources that the plugin has: streams, bodies, header fields",
);
const HOSTCALL_BYTES: Size = Size::size(
    "hostcall_bytes",
    (64 << 10, 128 << 20),
    2 << 20,
    "what the plugin passes to the host in one host call",
);

/// `[mount.NAME.limits]`.
pub(super) const LIMITS: SectionKeys = SectionKeys::new(
    &["mount", "NAME", "limits"],
    "Limits of the mount. All but `concurrency` and `queue` are for one call.",
    &[
        &CONCURRENCY.key,
        &QUEUE.key,
        &QUEUE_TIME.key,
        &MEMORY.key,
        &TABLE_ELEMENTS.key,
        &CPU_TIME.key,
        &IDLE_TIME.key,
        &WALL_TIME.key,
        &FINISH_TIME.key,
        &REQUESTS.key,
        &CONNECTIONS.key,
        &LOG_BYTES.key,
        &HEADER_BYTES.key,
        &RESOURCES.key,
        &HOSTCALL_BYTES.key,
    ],
);

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: CONCURRENCY.default,
            queue: QUEUE.default,
            queue_time: QUEUE_TIME.default,
            memory: MEMORY.default,
            table_elements: TABLE_ELEMENTS.default,
            cpu_time: CPU_TIME.default,
            idle_time: IDLE_TIME.default,
            wall_time: WALL_TIME.default,
            finish_time: FINISH_TIME.default,
            requests: REQUESTS.default,
            connections: CONNECTIONS.default,
            log_bytes: LOG_BYTES.default,
            header_bytes: HEADER_BYTES.default,
            resources: RESOURCES.default,
            hostcall_bytes: HOSTCALL_BYTES.default,
        }
    }
}

impl Limits {
    pub(super) fn read(section: Section<'_>) -> Self {
        let limits = Self {
            concurrency: section.integer(&CONCURRENCY),
            queue: section.integer(&QUEUE),
            queue_time: section.duration_or_default(&QUEUE_TIME),
            memory: section.size(&MEMORY),
            table_elements: section.integer(&TABLE_ELEMENTS),
            cpu_time: section.duration_or_default(&CPU_TIME),
            idle_time: section.duration_or_default(&IDLE_TIME),
            wall_time: section.duration_or_default(&WALL_TIME),
            finish_time: section.duration_or_default(&FINISH_TIME),
            requests: section.integer(&REQUESTS),
            connections: section.integer(&CONNECTIONS),
            log_bytes: section.size(&LOG_BYTES),
            header_bytes: section.size(&HEADER_BYTES),
            resources: section.integer(&RESOURCES),
            hostcall_bytes: section.size(&HOSTCALL_BYTES),
        };
        section.finish();
        limits
    }
}
