//! `[mount.NAME.limits]`: what one call may use, and how many calls there may be.

use std::time::Duration;

use crate::document::Section;

/// The limits of a mount. All but `concurrency` and `queue` are for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls at once.
    pub concurrency: u32,
    /// Calls that wait for their turn. One more is refused at once.
    pub queue: u32,
    /// Bytes of memory, all linear memories together.
    pub memory: u64,
    /// Table elements, all tables together.
    pub table_elements: u32,
    /// Time on a processor.
    pub cpu_time: Duration,
    /// Time in which nothing moves: no byte of the caller's body or of the answer, no request and no response.
    pub idle_time: Duration,
    /// Time altogether.
    pub wall_time: Duration,
    /// Requests that the plugin sends.
    pub requests: u32,
    /// Database connections that the plugin holds at once.
    pub connections: u32,
    /// Bytes that the plugin writes to its log, which are its standard output and standard error.
    pub log_bytes: u64,
    /// Bytes of one set of header fields, with what they take in memory.
    pub header_bytes: u64,
    /// Handles on things of the host's that the plugin holds: streams, bodies, header fields.
    pub resources: u32,
    /// Bytes that the plugin hands to the host in one host call.
    pub hostcall_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 128,
            queue: 1024,
            memory: 64 << 20,
            table_elements: 20_000,
            cpu_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(120),
            wall_time: Duration::from_secs(3600),
            // A batch of 256 blobs needs two for each.
            requests: 520,
            connections: 4,
            log_bytes: 64 << 10,
            header_bytes: 64 << 10,
            resources: 1000,
            hostcall_bytes: 2 << 20,
        }
    }
}

/// The most of each that a configuration may ask for.
pub(crate) const MOST: Limits = Limits {
    concurrency: 4096,
    queue: 1_000_000,
    memory: 1 << 30,
    table_elements: 200_000,
    cpu_time: Duration::from_secs(3600),
    idle_time: Duration::from_secs(24 * 3600),
    wall_time: Duration::from_secs(7 * 24 * 3600),
    requests: 100_000,
    connections: 1000,
    log_bytes: 1 << 30,
    header_bytes: 1 << 20,
    resources: 100_000,
    hostcall_bytes: 128 << 20,
};

impl Limits {
    pub(super) fn read(section: Section<'_>) -> Self {
        let normal = Self::default();
        let number = |key: &str, most: u32, normal: u32| {
            let number = section.number(key, 1, most.into(), normal.into());
            number.map_or(normal, |number| u32::try_from(number.value).unwrap_or(most))
        };
        let size = |key: &str, least: u64, most: u64, normal: u64| {
            let size = section.size(key, least, most, &crate::text::human_size(normal));
            size.map_or(normal, |size| size.value)
        };
        let duration = |key: &str, most: Duration, normal: Duration| {
            let example = humantime::format_duration(normal).to_string();
            let duration = section.duration(key, Duration::from_millis(10), most, &example);
            duration.map_or(normal, |duration| duration.value)
        };
        let limits = Self {
            concurrency: number("concurrency", MOST.concurrency, normal.concurrency),
            queue: number("queue", MOST.queue, normal.queue),
            memory: size("memory", 64 << 10, MOST.memory, normal.memory),
            table_elements: number("table_elements", MOST.table_elements, normal.table_elements),
            cpu_time: duration("cpu_time", MOST.cpu_time, normal.cpu_time),
            idle_time: duration("idle_time", MOST.idle_time, normal.idle_time),
            wall_time: duration("wall_time", MOST.wall_time, normal.wall_time),
            requests: number("requests", MOST.requests, normal.requests),
            connections: number("connections", MOST.connections, normal.connections),
            log_bytes: size("log_bytes", 0, MOST.log_bytes, normal.log_bytes),
            header_bytes: size("header_bytes", 4 << 10, MOST.header_bytes, normal.header_bytes),
            resources: number("resources", MOST.resources, normal.resources),
            hostcall_bytes: size("hostcall_bytes", 64 << 10, MOST.hostcall_bytes, normal.hostcall_bytes),
        };
        section.finish();
        limits
    }
}
