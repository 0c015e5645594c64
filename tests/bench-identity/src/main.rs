//! `make bench`: how long a token takes that is in the cache, in Keyward and in Azure's SDK for Rust.
//!
//! Both get their token from one endpoint, which counts, in the manner of App Service. Rounds of all alternate, and the
//! median counts.

mod endpoint;
mod hits;

use std::error::Error;
use std::process::{Command, ExitCode};

use endpoint::Endpoint;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

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
    if std::env::var_os("IDENTITY_ENDPOINT").is_some_and(|_| std::env::args().any(|argument| argument == "measure")) {
        return hits::measure();
    }
    // The SDK reads its variables from the environment: they are there from a process's beginning.
    let endpoint = Endpoint::start()?;
    let mut child = Command::new(std::env::current_exe()?);
    child.arg("measure").env("IDENTITY_ENDPOINT", endpoint.url()).env("IDENTITY_HEADER", "secret of the platform");
    for name in ["http_proxy", "all_proxy", "IDENTITY_SERVER_THUMBPRINT"] {
        child.env_remove(name).env_remove(name.to_uppercase());
    }
    let reached = child.status()?.success();
    let requests = endpoint.requests();
    if requests != hits::CACHES {
        return Err(format!("the endpoint was asked {requests} times, and not once for each cache").into());
    }
    Ok(reached)
}
