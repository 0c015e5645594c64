//! `make bench`: the time of a cache hit in Keyward and in Azure's SDK for Rust.
//!
//! Both get their token from the same fake endpoint of App Service, which counts requests. Their
//! rounds alternate, and the medians are compared.

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
    let is_child = std::env::args().any(|argument| argument == "measure");
    if is_child && std::env::var_os("IDENTITY_ENDPOINT").is_some() {
        return hits::measure();
    }
    // The SDK reads the environment, which is set for a child process.
    let endpoint = Endpoint::start()?;
    let mut child = Command::new(std::env::current_exe()?);
    child.arg("measure").env("IDENTITY_ENDPOINT", endpoint.url());
    child.env("IDENTITY_HEADER", "secret of the platform");
    for name in ["http_proxy", "all_proxy", "IDENTITY_SERVER_THUMBPRINT"] {
        child.env_remove(name).env_remove(name.to_uppercase());
    }
    let reached = child.status()?.success();
    let requests = endpoint.requests();
    if requests != hits::CACHES {
        return Err(format!("the endpoint got {requests} requests, not one for each cache").into());
    }
    Ok(reached)
}
