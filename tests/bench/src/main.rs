//! `make bench`: Keyward beside nginx, and beside `tiberius`.
//!
//! Both stand before the same upstream, an nginx that speaks TLS. The baseline, another nginx, adds
//! a fixed `authorization` header to each request and passes it on; Keyward runs each call in a
//! fresh sandbox, whose plugin asks for a token and sends the request, and puts the token on the
//! wire. Uploads go to the emulator, which reads and counts them. Rounds of both alternate, and the
//! median counts. A third proxy, the least that one of hyper does, tells what the sandbox costs.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bare_proxy;
mod bulk;
#[cfg(unix)]
mod callers;
mod compare;
mod load;
mod peers;
mod queries;
mod small;

use std::error::Error;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bare_proxy::Upstream;
use load::Measured;
use peers::Peers;

/// The same as Keyward's, for the bare proxy.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Rounds of each measurement. The median counts.
const ROUNDS: usize = 3;
/// How long the daemon rests after the load.
const REST: Duration = Duration::from_secs(15);
/// Maximum anonymous memory then, in MiB.
const RESTED: u64 = 40;
/// Required rate of a transfer, relative to nginx.
const BULK: f64 = 1.0;
/// Required rate of single rows through the mount, relative to `tiberius` alone.
const QUERIES: f64 = 0.7;
/// Maximum additional memory of a million rows, in KiB.
const ROWS_MEMORY: i64 = 64 << 10;
/// Maximum time until the daemon is ready, with compiled plugins.
const READY: Duration = Duration::from_millis(150);

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["bare-proxy", port, upstream, host, ca] = arguments[..] {
        let address = (Ipv4Addr::LOCALHOST, upstream.parse()?).into();
        let upstream = Upstream { address, host: host.to_owned() };
        bare_proxy::serve(port.parse()?, &upstream, Path::new(ca))?;
        return Ok(true);
    }
    let peers = Peers::start()?;
    match arguments[..] {
        ["hold"] => {
            // For a profiler.
            println!("nginx {} keyward {} pid {}", peers.nginx, peers.keyward, peers.keyward_id());
            std::thread::sleep(Duration::from_secs(3600));
        }
        ["small"] => return Ok(small::compare(&peers)? & memory(&peers)?),
        ["compare", other] => return compare::compare(&peers, Path::new(other)),
        #[cfg(unix)]
        ["callers"] => return compare_callers(&peers),
        _ => {}
    }
    // The first start compiles the plugins, which takes more memory than to run them.
    peers.forget_peak();
    let mut good = small::compare(&peers)?;
    good &= memory(&peers)?;
    println!("{:28} {:>12} {:>12} {:>8} {:>8}", "", "nginx", "keyward", "ratio", "wanted");
    let before = peers.keyward_memory()?;
    let bulk: [(&str, Bulk, &str); 2] = [
        ("1 GiB down", bulk::download, "/blobs/hello/big"),
        ("1 GiB up", bulk::upload, "/up/hello/big"),
    ];
    for (title, transfer, path) in bulk {
        let (nginx, keyward) = alternate(|port| transfer(port, path), &peers)?;
        let ratio = nginx.as_secs_f64() / keyward.as_secs_f64();
        let (a, b) = (nginx.as_secs_f64(), keyward.as_secs_f64());
        println!("{title:28} {a:>10.2} s {b:>10.2} s {ratio:8.2} {:>8}", format!(">= {BULK}"));
        good &= ratio >= BULK;
    }
    println!(
        "{:28} {:>12} {:>8} MiB {:>+7} MiB for the transfers",
        "peak memory",
        "",
        peers.keyward_memory()? / 1024,
        (peers.keyward_memory()? - before) / 1024
    );

    good &= queries(&peers)?;

    #[cfg(unix)]
    {
        good &= compare_callers(&peers)?;
    }

    let ready =
        median((0..ROUNDS).map(|_| peers.time_to_ready()).collect::<Result<Vec<_>>>()?, |time| {
            time.as_secs_f64()
        });
    println!(
        "{:28} {:>12} {:>9} ms {:8} {:>8}",
        "ready after",
        "",
        ready.as_millis(),
        "",
        format!("< {}", READY.as_millis())
    );
    good &= ready < READY;
    println!(
        "{}",
        if good {
            "\nAll that is wanted is reached."
        } else {
            "\nNOT all that is wanted is reached."
        }
    );
    Ok(good)
}

/// The daemon's memory after the load, once it has rested, and its address space.
fn memory(peers: &Peers) -> Result<bool> {
    let loaded = peers.anonymous_memory()? / 1024;
    std::thread::sleep(REST);
    let rested = peers.anonymous_memory()? / 1024;
    println!("{:28} {:>12} {:>12} {loaded:>9} MiB", "anonymous memory, loaded", "", "");
    println!(
        "{:28} {:>12} {:>12} {rested:>9} MiB {:>7} {:>8}",
        format!("  {} s later", REST.as_secs()),
        "",
        "",
        "",
        format!("<= {RESTED}")
    );
    let address_space = peers.address_space()? / 1024 / 1024;
    println!("{:28} {:>12} {:>12} {address_space:>9} GiB", "address space", "", "");
    Ok(rested <= RESTED)
}

/// What it costs to tell callers apart. `keyward-bench callers` measures only this.
#[cfg(unix)]
fn compare_callers(peers: &Peers) -> Result<bool> {
    use callers::CallerSections;

    let (without, with) =
        (peers.beside(CallerSections::None)?, peers.beside(CallerSections::Users)?);
    let units =
        if callers::has_units() { Some(peers.beside(CallerSections::Units)?) } else { None };
    let units = units.as_ref().map(|units| units.listeners());
    callers::compare(without.listeners(), with.listeners(), units)
}

/// Queries, beside `tiberius`.
fn queries(peers: &Peers) -> Result<bool> {
    let database = peers.database();
    println!("{:28} {:>12} {:>12} {:>8} {:>8}", "", "tiberius", "keyward", "ratio", "wanted");
    // The first ones open the connections.
    queries::through(peers.keyward, 1, peers.directory())?;
    // The emulator's responses take a twentieth of a millisecond, on the same processors that
    // everything else here runs on: there a sandbox and two hops more are most of the work. No real
    // server is that near, and so it is made to wait too.
    let mut good = true;
    for (title, wait) in
        [("single rows, server 1 ms off", true), ("single rows, server here", false)]
    {
        peers.let_queries_wait(wait);
        let (mut direct, mut through) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            direct.push(database.direct(5)?);
            through.push(queries::through(peers.keyward, 5, peers.directory())?);
        }
        let (direct, through) = (median(direct, |rate| *rate), median(through, Measured::weight));
        let ratio = through.per_second / direct;
        let wanted = if wait { format!(">= {QUERIES}") } else { String::new() };
        println!(
            "{title:28} {direct:>10.0}/s {:>10.0}/s {ratio:8.2} {wanted:>8}",
            through.per_second
        );
        good &= !wait || ratio >= QUERIES;
    }
    peers.forget_peak();
    let before = peers.keyward_memory()?;
    let (direct, through) = (database.direct_rows()?, queries::rows_through(peers.keyward)?);
    let more = peers.keyward_memory()? - before;
    let (a, b) = (direct.as_secs_f64(), through.as_secs_f64());
    println!("{:28} {a:>10.2} s {b:>10.2} s {:8.2}", "a million rows", a / b);
    println!(
        "{:28} {:>12} {:>+8} MiB {:8} {:>8}",
        "  memory for them",
        "",
        more / 1024,
        "",
        format!("< {}", ROWS_MEMORY >> 10)
    );
    Ok(good && more < ROWS_MEMORY)
}

/// A transfer of a gibibyte to or from a path at a port.
type Bulk = fn(u16, &str) -> Result<Duration>;

/// Measures both alternately, and returns the median of each.
fn alternate<T: Clone + Weighed>(
    measure: impl Fn(u16) -> Result<T>,
    peers: &Peers,
) -> Result<(T, T)> {
    let (mut nginx, mut keyward) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        nginx.push(measure(peers.nginx)?);
        keyward.push(measure(peers.keyward)?);
    }
    Ok((median(nginx, T::weight), median(keyward, T::weight)))
}

/// The key of a median.
trait Weighed {
    fn weight(&self) -> f64;
}

impl Weighed for Measured {
    fn weight(&self) -> f64 {
        self.per_second
    }
}

impl Weighed for Duration {
    fn weight(&self) -> f64 {
        self.as_secs_f64()
    }
}

/// The middle one. There always is one.
#[allow(clippy::indexing_slicing)]
fn median<T: Clone>(mut values: Vec<T>, weight: impl Fn(&T) -> f64) -> T {
    values.sort_by(|a, b| weight(a).total_cmp(&weight(b)));
    values[values.len() / 2].clone()
}
