//! What it costs to tell callers apart: a daemon with sections `[caller.NAME]` beside one without.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::{Result, median};

/// Maximum additional time of a call on a kept connection.
const CALL: Duration = Duration::from_micros(5);
/// Maximum additional time of a call on a connection of its own.
const CONNECTION: Duration = Duration::from_micros(50);

/// Rounds of both daemons, which alternate.
const ROUNDS: usize = 9;
/// Calls of a round. Their median counts.
const CALLS: usize = 1000;

/// Sections before the one that matches, a user and limits of its own.
const SECTIONS: usize = 10;

/// Where a daemon listens.
pub(crate) struct Listeners {
    pub(crate) socket: PathBuf,
    pub(crate) tcp: u16,
}

/// By what a daemon tells callers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallerSections {
    None,
    Users,
    /// By users and units. The unit of each new connection is looked up, also if no section that
    /// has one matches.
    Units,
}

impl CallerSections {
    /// The name of the daemon's files.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "anybody",
            Self::Users => "callers",
            Self::Units => "units",
        }
    }
}

/// Whether this machine can prove units: it has cgroup v2.
pub(crate) fn has_units() -> bool {
    std::fs::read_to_string("/proc/self/cgroup").is_ok_and(|groups| groups.starts_with("0::/"))
}

/// The sections of a configuration that tells callers apart, and the lines of its mount.
pub(crate) fn sections(by: CallerSections, user: u32) -> (String, String) {
    let unit = match by {
        CallerSections::None => return Default::default(),
        CallerSections::Users => "",
        CallerSections::Units => "[caller.unit]\nunit = \"no-such.service\"\n",
    };
    let other = |number| format!("[caller.other{number}]\nuser = {}\n", 60_000 + number);
    let sections: String = (0..SECTIONS).map(other).collect();
    let own = format!("{sections}{unit}[caller.own]\nuser = {user}\n");
    let mount = "[mount.vault.caller.other1]\n[mount.vault.caller.own]\n\
                 requests = [\"GET /secrets/*\"]\nallow = [\"GET /secrets/*\"]\n\
                 rate = \"1000000/s\"\n";
    (own, mount.to_owned())
}

/// Prints the costs. Returns whether they are as wanted.
pub(crate) fn compare(
    without: &Listeners,
    with: &Listeners,
    units: Option<&Listeners>,
) -> Result<bool> {
    println!("{:28} {:>12} {:>12} {:>8} {:>8}", "", "anybody", "callers", "more", "wanted");
    let mut good = true;
    let measurements: [(&str, Measurement, Duration, Option<&Listeners>); 4] = [
        ("a call, kept connection", kept, CALL, Some(with)),
        ("  own connection, socket", own_socket, CONNECTION, Some(with)),
        ("  the same, with units", own_socket, CONNECTION, units),
        ("  own connection, TCP", own_tcp, CONNECTION, Some(with)),
    ];
    for (title, measure, wanted, with) in measurements {
        let Some(with) = with else {
            println!("{title:28} not measured: this machine has no cgroup v2");
            continue;
        };
        let (mut baseline, mut measured) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            baseline.push(measure(without)?);
            measured.push(measure(with)?);
        }
        let seconds = |time: &Duration| time.as_secs_f64();
        let [baseline, measured] =
            [baseline, measured].map(|times| median(times, seconds).as_secs_f64() * 1e6);
        let more = measured - baseline;
        let wanted = wanted.as_secs_f64() * 1e6;
        println!(
            "{title:28} {baseline:>9.1} us {measured:>9.1} us {more:>+5.1} us {:>8}",
            format!("< {wanted:.0}")
        );
        good &= more < wanted;
    }
    Ok(good)
}

/// The median time of a call at a daemon.
type Measurement = fn(&Listeners) -> Result<Duration>;

fn kept(listeners: &Listeners) -> Result<Duration> {
    let mut stream = UnixStream::connect(&listeners.socket)?;
    times(|| exchange(&mut stream, "localhost", false))
}

fn own_socket(listeners: &Listeners) -> Result<Duration> {
    times(|| exchange(&mut UnixStream::connect(&listeners.socket)?, "localhost", true))
}

fn own_tcp(listeners: &Listeners) -> Result<Duration> {
    let host = format!("127.0.0.1:{}", listeners.tcp);
    times(|| exchange(&mut TcpStream::connect(&host)?, &host, true))
}

fn times(mut call: impl FnMut() -> Result<()>) -> Result<Duration> {
    let timed = |_| {
        let began = Instant::now();
        call().map(|()| began.elapsed())
    };
    let times = (0..CALLS).map(timed).collect::<Result<Vec<Duration>>>()?;
    Ok(median(times, Duration::as_secs_f64))
}

/// Sends a request, and reads the response.
fn exchange(stream: &mut (impl Read + Write), host: &str, last: bool) -> Result<()> {
    let connection = if last { "close" } else { "keep-alive" };
    let request = format!(
        "GET /vault/secrets/db HTTP/1.1\r\nhost: {host}\r\nconnection: {connection}\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut response = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        response.extend(buffer.iter().take(count));
        if count == 0 || !last && response.ends_with(b"}}") {
            break;
        }
    }
    if response.starts_with(b"HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(format!("not a response of the vault: {}", String::from_utf8_lossy(&response)).into())
}
