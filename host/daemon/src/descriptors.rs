//! File descriptors: how many connections this process has enough of them for.

/// Those that are not for connections of callers: files, listeners, runtimes, and pooled
/// connections to services.
#[cfg(unix)]
const OTHERS: u64 = 128;

/// Raises the limit of this process as far as it may, and returns how many of the wanted
/// connections it can have. Fewer are a warning in the log.
#[cfg(unix)]
pub(crate) fn enough_for(connections: u32) -> u32 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    let Some(limit) = limit else { return connections };
    let most = most_connections(limit);
    if connections > most {
        tracing::warn!(
            "this process may open {limit} files, which is enough for {most} connections, not for \
             {connections}: raise the limit (LimitNOFILE= of a systemd unit, or `ulimit -Hn`), or \
             set `connections` in [listen]"
        );
    }
    connections.min(most)
}

#[cfg(not(unix))]
pub(crate) fn enough_for(connections: u32) -> u32 {
    connections
}

/// A connection needs one, and a call on it a second one, for its connection to a service.
#[cfg(unix)]
fn most_connections(limit: u64) -> u32 {
    let connections = limit.saturating_sub(OTHERS) / 2;
    u32::try_from(connections).unwrap_or(u32::MAX).max(1)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn connections_and_their_calls_have_enough_descriptors() {
        assert_eq!(most_connections(1024), 448);
        assert_eq!(most_connections(8320), 4096);
        assert_eq!(most_connections(64), 1);
        assert_eq!(most_connections(u64::MAX), u32::MAX);
    }
}
