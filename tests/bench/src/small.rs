//! Small requests: nginx, a bare proxy of hyper, and Keyward, in rounds that alternate.

use std::time::Duration;

use crate::load::{Load, Measured};
use crate::peers::{Peers, processor_time};
use crate::{Result, median};

/// Rounds of each peer. The median counts.
const ROUNDS: usize = 5;

/// Wanted rate at 32 connections, relative to nginx.
const RATE: f64 = 0.55;
/// Wanted processor time of a call at 32 connections, relative to nginx.
const PROCESSOR: f64 = 2.5;
/// Wanted time that Keyward adds to a call of nginx at one connection, in microseconds.
const ADDED: f64 = 90.0;

/// The measurements of one peer.
#[derive(Default)]
struct Rounds {
    per_second: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    /// Processor time of a call.
    processor: Vec<f64>,
}

/// Three peers' numbers.
type Row = [f64; 3];

/// Prints the measurements. Returns whether they are as wanted.
pub(crate) fn compare(peers: &Peers) -> Result<bool> {
    println!(
        "{:28} {:>12} {:>12} {:>12} {:>8} {:>8}",
        "", "nginx", "bare hyper", "keyward", "ratio", "wanted"
    );
    let loads = [
        ("small GETs, 32 at once", 32, "/vault/secrets/db?api-version=7.4"),
        ("small GETs, 1 at once", 1, "/vault/secrets/db?api-version=7.4"),
        ("small blobs, 32 at once", 32, "/blobs/hello/small.txt"),
    ];
    let mut good = true;
    for (title, connections, path) in loads {
        let rounds = measure(peers, connections, path)?;
        let of =
            |key: fn(&Rounds) -> &Vec<f64>| rounds.each_ref().map(|rounds| middle(key(rounds)));
        let many = connections > 1;

        let rate = of(|rounds| &rounds.per_second);
        good &= print(title, "/s", rate, many.then_some((RATE, Wanted::AtLeast)));
        print("  p50", "us", of(|rounds| &rounds.p50), None);
        print("  p99", "us", of(|rounds| &rounds.p99), None);
        let processor = of(|rounds| &rounds.processor);
        let wanted = (connections == 32).then_some((PROCESSOR, Wanted::AtMost));
        good &= print("  processor time of a call", "us", processor, wanted);
        let [_, bare, keyward] = processor;
        println!("{:28} {:>12} {:>12} {:>9.1} us", "  sandbox and rules", "", "", keyward - bare);
        if !many {
            let [p50, _, ours] = of(|rounds| &rounds.p50);
            let added = ours - p50;
            println!(
                "{:28} {:>12} {:>12} {added:>9.0} us {:>8} {:>8}",
                "  added to nginx",
                "",
                "",
                "",
                format!("<= {ADDED:.0}")
            );
            good &= added <= ADDED;
        }
        let [nginx, bare, keyward] = rounds.each_ref().map(|rounds| spread(&rounds.per_second));
        println!("{:28} {nginx:>11.0}% {bare:>11.0}% {keyward:>11.0}%", "  spread of the rates");
    }
    Ok(good)
}

/// Which numbers are good.
#[derive(Clone, Copy)]
enum Wanted {
    AtLeast,
    AtMost,
}

/// Prints a row with the ratio of Keyward to nginx. Returns whether it is as wanted.
fn print(title: &str, unit: &str, row: Row, wanted: Option<(f64, Wanted)>) -> bool {
    let [nginx, bare, keyward] = row;
    let ratio = keyward / nginx;
    let (good, words) = match wanted {
        None => (true, String::new()),
        Some((bound, Wanted::AtLeast)) => (ratio >= bound, format!(">= {bound}")),
        Some((bound, Wanted::AtMost)) => (ratio <= bound, format!("<= {bound}")),
    };
    let digits = usize::from(keyward < 1000.0);
    println!(
        "{title:28} {nginx:>9.digits$} {unit:2} {bare:>9.digits$} {unit:2} {keyward:>9.digits$} \
         {unit:2} {ratio:8.2} {words:>8}"
    );
    good
}

fn measure(peers: &Peers, connections: u32, path: &str) -> Result<[Rounds; 3]> {
    let mut all: [Rounds; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (peer, rounds) in peers.proxies()?.iter().zip(&mut all) {
            let before = processor_time(&peer.processes)?;
            let load = Load { connections, seconds: 4 };
            let measured = load.run(peer.port, path)?;
            let used = processor_time(&peer.processes)? - before;
            let micros = |time: Duration| time.as_secs_f64() * 1e6;
            rounds.per_second.push(measured.per_second);
            rounds.p50.push(micros(Measured::p50(&measured)));
            rounds.p99.push(micros(Measured::p99(&measured)));
            rounds.processor.push(used * 1e6 / (measured.per_second * f64::from(load.seconds)));
        }
    }
    Ok(all)
}

fn middle(values: &[f64]) -> f64 {
    median(values.to_vec(), |value| *value)
}

/// How far the rounds are apart, in percent of their median.
fn spread(values: &[f64]) -> f64 {
    let (low, high) = values
        .iter()
        .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
    (high - low) / middle(values) * 100.0
}
