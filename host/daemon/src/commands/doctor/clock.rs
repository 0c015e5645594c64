//! Whether the clock is right, by that of an endpoint.

use std::time::{Duration, SystemTime};

use keyward::probe::Endpoints;
use keyward_policy::endpoint::Endpoint;

use super::all;
use super::finding::{Check, Finding};

/// A clock that is off by so much does no harm yet: tokens are renewed minutes ahead of their end.
const HARMLESS: u64 = 30;

/// Entra and the services allow for five minutes, and so does the margin before a token's end.
const MOST: u64 = 5 * 60;

/// Two clocks at one moment, since 1970-01-01T00:00:00Z.
pub(super) struct Reading {
    pub(super) whose: String,
    pub(super) here: Duration,
    pub(super) there: Duration,
}

/// What this machine's clock says.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// By the readings that there are; where there is none, by the services' clocks.
pub(super) async fn check(readings: Vec<Reading>, reached: Option<(Endpoints, Vec<Endpoint>)>) -> Finding {
    let readings = if readings.is_empty() { ask(reached).await } else { readings };
    judge(&readings)
}

async fn ask(reached: Option<(Endpoints, Vec<Endpoint>)>) -> Vec<Reading> {
    let Some((endpoints, reached)) = reached else { return Vec::new() };
    let asked = all(reached.into_iter().map(|endpoint| {
        let endpoints = endpoints.clone();
        async move {
            let there = endpoints.clock(&endpoint).await?;
            Some(Reading { whose: endpoint.to_string(), here: now(), there })
        }
    }));
    asked.await.into_iter().flatten().collect()
}

fn judge(readings: &[Reading]) -> Finding {
    let finding = Finding::about(Check::Clock, "this machine");
    // A `Date` says whole seconds.
    let off = |reading: &Reading| reading.here.as_secs().abs_diff(reading.there.as_secs());
    // One that is wrong is an endpoint's own matter, where another agrees with this machine.
    let Some(reading) = readings.iter().min_by_key(|reading| off(reading)) else {
        return finding.skipped("no endpoint said what time it is");
    };
    let (seconds, whose) = (off(reading), &reading.whose);
    let way = if reading.here > reading.there { "ahead of" } else { "behind" };
    let fix = "Set it, and keep it set:\n  timedatectl set-ntp true\nOn a virtual machine, chrony may take the host's \
                clock: refclock PHC /dev/ptp_hyperv poll 3 dpoll -2 offset 0 stratum 2";
    match seconds {
        0..=1 => finding.ok(format!("agrees with {whose}")),
        2..=HARMLESS => finding.ok(format!("{seconds} s {way} {whose}")),
        _ => {
            let found = format!("{seconds} s {way} {whose}");
            if seconds > MOST { finding.problem(found).fix(fix) } else { finding.warning(found).fix(fix) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    fn status(pairs: &[(u64, u64)]) -> Status {
        let seconds = Duration::from_secs;
        let readings = pairs.iter().map(|(here, there)| Reading {
            whose: "x".to_owned(),
            here: seconds(*here),
            there: seconds(*there),
        });
        judge(&readings.collect::<Vec<_>>()).status
    }

    #[test]
    fn a_clock_is_right_within_half_a_minute_and_wrong_beyond_five() {
        assert_eq!(status(&[]), Status::NotApplicable);
        assert_eq!(status(&[(1000, 1000)]), Status::Ok);
        assert_eq!(status(&[(1000, 1030)]), Status::Ok);
        assert_eq!(status(&[(1000, 1031)]), Status::Warning);
        assert_eq!(status(&[(1301, 1000)]), Status::Problem);
        assert_eq!(status(&[(1301, 1000), (1301, 1300)]), Status::Ok);
    }
}
