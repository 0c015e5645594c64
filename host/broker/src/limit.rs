//! Limits of calls.

use std::fmt;
use std::time::Duration;

use keyward_policy::text::human_size;

/// A limit that a call ran into, with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Bytes of memory.
    Memory(u64),
    /// Table elements.
    TableElements(u32),
    /// Time on a processor.
    CpuTime(Duration),
    /// Time in which nothing moved.
    IdleTime(Duration),
    /// Time altogether.
    WallTime(Duration),
    /// Time after the response was complete.
    FinishTime(Duration),
    /// Requests.
    Requests(u32),
    /// Database connections.
    Connections(u32),
    /// Bytes of a row of a database's.
    RowBytes(u64),
    /// Bytes of log.
    LogBytes(u64),
    /// Bytes of header fields.
    HeaderBytes(u64),
    /// Handles.
    Resources(u32),
    /// Bytes of a host call.
    HostcallBytes(u64),
}

impl Limit {
    /// Its name in `[mount.NAME.limits]`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Memory(_) => "memory",
            Self::TableElements(_) => "table_elements",
            Self::CpuTime(_) => "cpu_time",
            Self::IdleTime(_) => "idle_time",
            Self::WallTime(_) => "wall_time",
            Self::FinishTime(_) => "finish_time",
            Self::Requests(_) => "requests",
            Self::Connections(_) => "connections",
            Self::RowBytes(_) => "memory",
            Self::LogBytes(_) => "log_bytes",
            Self::HeaderBytes(_) => "header_bytes",
            Self::Resources(_) => "resources",
            Self::HostcallBytes(_) => "hostcall_bytes",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let human = |duration: &Duration| humantime::format_duration(*duration).to_string();
        match self {
            Self::Memory(bytes) => write!(f, "exceeded {} of memory", human_size(*bytes)),
            Self::TableElements(count) => write!(f, "exceeded {count} table elements"),
            Self::CpuTime(time) => write!(f, "used more than {} of processor time", human(time)),
            Self::IdleTime(time) => write!(f, "made no progress for {}", human(time)),
            Self::WallTime(time) => write!(f, "took more than {}", human(time)),
            Self::FinishTime(time) => {
                write!(f, "went on for {} after its response was complete", human(time))
            }
            Self::Requests(count) => write!(f, "sent more than {count} requests"),
            Self::Connections(count) => {
                write!(f, "opened more than {count} database connections at once")
            }
            Self::RowBytes(bytes) => {
                write!(f, "asked a database for a row of more than {}", human_size(*bytes))
            }
            Self::LogBytes(bytes) => write!(f, "logged more than {}", human_size(*bytes)),
            Self::HeaderBytes(bytes) => {
                write!(f, "created header fields of more than {}", human_size(*bytes))
            }
            Self::Resources(count) => write!(f, "held more than {count} handles"),
            Self::HostcallBytes(bytes) => {
                write!(f, "passed more than {} to the host at once", human_size(*bytes))
            }
        }
    }
}

impl std::error::Error for Limit {}
