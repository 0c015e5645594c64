//! Load, by `wrk`.

use std::process::Command;
use std::time::Duration;

use crate::Result;

/// The connections and the duration of a load.
pub(crate) struct Load {
    pub(crate) connections: u32,
    pub(crate) seconds: u32,
}

/// The result of a load.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    p50: Duration,
    p99: Duration,
}

impl Measured {
    pub(crate) fn p50(&self) -> Duration {
        self.p50
    }

    pub(crate) fn p99(&self) -> Duration {
        self.p99
    }
}

impl Load {
    pub(crate) fn run(&self, port: u16, path: &str) -> Result<Measured> {
        let (connections, seconds) =
            (format!("-c{}", self.connections), format!("-d{}s", self.seconds));
        let url = format!("http://127.0.0.1:{port}{path}");
        let mut command = Command::new("wrk");
        command.args(["-t1", &connections, &seconds, "--latency", &url]);
        Measured::of(command)
    }
}

impl Measured {
    /// The measurements of `wrk`.
    pub(crate) fn of(mut wrk: Command) -> Result<Self> {
        let output = wrk
            .output()
            .map_err(|error| format!("wrk does not run: {error}; `make bench` installs it"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if text.contains("Non-2xx") || text.contains("Socket errors") {
            return Err(format!("not every response was successful:\n{text}").into());
        }
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(name));
            line.map(|value| value.trim_start_matches(':').trim().to_owned())
                .ok_or(format!("no {name} in:\n{text}"))
        };
        Ok(Self {
            per_second: field("Requests/sec")?.parse()?,
            p50: duration(&field("50%")?)?,
            p99: duration(&field("99%")?)?,
        })
    }
}

/// A duration in the format of `wrk`: `812.00us`, `1.20ms`, `1.00s`.
fn duration(text: &str) -> Result<Duration> {
    for (unit, seconds) in [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Ok(Duration::from_secs_f64(number.parse::<f64>()? * seconds));
        }
    }
    Err(format!("{text} is not a duration").into())
}
