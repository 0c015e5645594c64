//! The database server with the drivers `tedious` for Node and `python-tds` for Python, which
//! `make test` installs.
use std::path::{Path, PathBuf};
use std::process::Output;

use keyward_emulator::{Emulator, Options};
use tokio::process::Command;

const RESOURCE: &str = "https%3A%2F%2Fdatabase.windows.net%2F";

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Runs a driver's script with the server's address, its certificate, a token and more arguments.
async fn drive(program: impl Into<PathBuf>, script: &str, more: &[&str]) {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let token = crate::client::token(&emulator, RESOURCE, "").await;
    let name = format!("keyward-drivers-{}-{script}{}.pem", std::process::id(), more.concat());
    let file = std::env::temp_dir().join(name);
    std::fs::write(&file, emulator.ca_pem()).unwrap();
    let address = emulator.sql_address();
    let mut command = Command::new(program.into());
    command.arg(root().join("tests/peers").join(script));
    command
        .arg(address.ip().to_string())
        .arg(address.port().to_string())
        .arg(&file)
        .arg(&token)
        .args(more)
        .env("TEDIOUS", crate::skip::peers().join("tedious"));
    let Output { status, stdout, stderr } = command.output().await.unwrap();
    std::fs::remove_file(file).unwrap();
    let out = String::from_utf8_lossy(&stdout);
    let err = String::from_utf8_lossy(&stderr).replace(&token, "(token)");
    assert!(status.success(), "{out}\n{err}");
}

/// Runs the script for tedious, if it is installed.
async fn tedious(what: &str, more: &[&str]) {
    if crate::skip::peer("tedious", what).is_some() {
        drive(crate::skip::node(), "tedious.mjs", more).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tedious_works() {
    tedious("tedious at the emulator's database server", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tedious_works_with_tds_8() {
    tedious("tedious at the emulator's database server, by TDS 8", &["strict"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_tds_works() {
    if let Some(python) =
        crate::skip::peer("python", "python-tds at the emulator's database server")
    {
        drive(python.join("bin/python"), "python_tds.py", &[]).await;
    }
}
