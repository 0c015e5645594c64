//! Processor time of two daemons for the same work: `keyward-bench compare PROGRAM`.

use std::path::Path;

use crate::load::Load;
use crate::peers::{Another, Peers};
use crate::{Result, bulk, median};

/// Rounds of both programs, which alternate.
const ROUNDS: usize = 7;

/// How much more processor time than the other program's is accepted.
const MOST: f64 = 1.03;

/// Prints the processor time of this build and of another. Returns whether this build needs at most
/// three percent more.
pub(crate) fn compare(peers: &Peers, other: &Path) -> Result<bool> {
    let (own, other) = (peers.another(None)?, peers.another(Some(other))?);
    println!(
        "{:28} {:>12} {:>12} {:>8} {:>8}",
        "processor time", "other", "this", "ratio", "wanted"
    );
    let mut good = true;
    let measurements: [(&str, &str, Measurement); 3] = [
        ("small GETs, 32 at once", "us", small),
        ("1 GiB down", "ms", down),
        ("1 GiB up", "ms", up),
    ];
    for (title, unit, measure) in measurements {
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            theirs.push(measure(&other)?);
            ours.push(measure(&own)?);
        }
        let [theirs, ours] = [theirs, ours].map(|times| median(times, |time| *time));
        let ratio = ours / theirs;
        println!(
            "{title:28} {theirs:>9.1} {unit} {ours:>9.1} {unit} {ratio:8.3} {:>8}",
            format!("< {MOST}")
        );
        good &= ratio < MOST;
    }
    Ok(good)
}

/// The processor time of a daemon for some work.
type Measurement = fn(&Another) -> Result<f64>;

/// Microseconds for each of many calls.
fn small(daemon: &Another) -> Result<f64> {
    let before = daemon.processor_time()?;
    let load = Load { connections: 32, seconds: 5 };
    let measured = load.run(daemon.port, "/vault/secrets/db?api-version=7.4")?;
    let calls = measured.per_second * f64::from(load.seconds);
    Ok((daemon.processor_time()? - before) * 1e6 / calls)
}

/// Milliseconds for a download.
fn down(daemon: &Another) -> Result<f64> {
    let before = daemon.processor_time()?;
    bulk::download(daemon.port, "/blobs/hello/big")?;
    Ok((daemon.processor_time()? - before) * 1e3)
}

/// Milliseconds for an upload.
fn up(daemon: &Another) -> Result<f64> {
    let before = daemon.processor_time()?;
    bulk::upload(daemon.port, "/up/hello/big")?;
    Ok((daemon.processor_time()? - before) * 1e3)
}
