//! Compares this machine's clock with the clocks of endpoints.

use std::time::{Duration, SystemTime};

use keyward::probe::Endpoints;
use keyward_policy::endpoint::Endpoint;

use super::finding::{Check, Finding};
use super::join_all;

/// The largest difference that is harmless, in seconds: tokens are renewed minutes before they
/// expire.
const MAX_HARMLESS: u64 = 30;

/// The largest difference that works, in seconds: Entra and the services tolerate five minutes, and
/// tokens are renewed that long before they expire.
const MAX_TOLERATED: u64 = 5 * 60;

/// The times of two clocks at one moment, since 1970-01-01T00:00:00Z.
pub(super) struct Reading {
    /// Names the endpoint in the finding.
    pub(super) endpoint: String,
    /// This machine's clock.
    pub(super) local: Duration,
    /// The endpoint's clock.
    pub(super) remote: Duration,
}

/// The time of this machine's clock.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Checks the clock by these readings or, if there are none, by the clocks of reachable services.
pub(super) async fn check(
    readings: Vec<Reading>,
    reachable: Option<(Endpoints, Vec<Endpoint>)>,
) -> Finding {
    let readings = if readings.is_empty() { read(reachable).await } else { readings };
    evaluate(&readings)
}

async fn read(reachable: Option<(Endpoints, Vec<Endpoint>)>) -> Vec<Reading> {
    let Some((endpoints, reachable)) = reachable else { return Vec::new() };
    let readings = join_all(reachable.into_iter().map(|endpoint| {
        let endpoints = endpoints.clone();
        async move {
            let remote = endpoints.clock(&endpoint).await?;
            Some(Reading { endpoint: endpoint.to_string(), local: now(), remote })
        }
    }));
    readings.await.into_iter().flatten().collect()
}

fn evaluate(readings: &[Reading]) -> Finding {
    let finding = Finding::about(Check::Clock, "this machine");
    // A `Date` header has a resolution of one second.
    let difference = |reading: &Reading| reading.local.as_secs().abs_diff(reading.remote.as_secs());
    // If one endpoint agrees with this machine, another's clock is wrong.
    let Some(reading) = readings.iter().min_by_key(|reading| difference(reading)) else {
        return finding.skipped("no endpoint returned its time");
    };
    let (seconds, endpoint) = (difference(reading), &reading.endpoint);
    let direction = if reading.local > reading.remote { "ahead of" } else { "behind" };
    let fix = "Synchronize the clock:\n  timedatectl set-ntp true\nOn a virtual machine, chrony \
               can use the host's clock: refclock PHC /dev/ptp_hyperv poll 3 dpoll -2 offset 0 \
               stratum 2";
    match seconds {
        0..=1 => finding.ok(format!("agrees with {endpoint}")),
        2..=MAX_HARMLESS => finding.ok(format!("{seconds} s {direction} {endpoint}")),
        _ => {
            let found = format!("{seconds} s {direction} {endpoint}");
            if seconds > MAX_TOLERATED {
                finding.problem(found).fix(fix)
            } else {
                finding.warning(found).fix(fix)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    fn status(pairs: &[(u64, u64)]) -> Status {
        let seconds = Duration::from_secs;
        let readings = pairs.iter().map(|(local, remote)| Reading {
            endpoint: "x".to_owned(),
            local: seconds(*local),
            remote: seconds(*remote),
        });
        evaluate(&readings.collect::<Vec<_>>()).status
    }

    #[test]
    fn a_difference_of_30_seconds_is_harmless_and_of_more_than_5_minutes_is_a_problem() {
        assert_eq!(status(&[]), Status::NotApplicable);
        assert_eq!(status(&[(1000, 1000)]), Status::Ok);
        assert_eq!(status(&[(1000, 1030)]), Status::Ok);
        assert_eq!(status(&[(1000, 1031)]), Status::Warning);
        assert_eq!(status(&[(1301, 1000)]), Status::Problem);
        assert_eq!(status(&[(1301, 1000), (1301, 1300)]), Status::Ok);
    }
}
