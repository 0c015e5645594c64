//! What this machine cannot test. `make test` prints it at its end, and in CI it is a failure.
#![allow(dead_code, reason = "each of the test binaries that include this file needs a part of it")]

use std::io::Write;
use std::path::{Path, PathBuf};

/// The directory where `tests/peers/setup` installs its peers.
pub(crate) fn peers() -> PathBuf {
    // The manifests of all packages that include this file are two levels down.
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peers")).to_owned()
}

/// The Node that runs the peers.
pub(crate) fn node() -> PathBuf {
    peers().join("bin/node")
}

/// The directory of a peer; `None`, noted, where this machine cannot have it. `what` is what a test
/// does with it.
pub(crate) fn peer(name: &str, what: &str) -> Option<PathBuf> {
    if peers().join(name).join("stamp").exists() {
        return Some(peers().join(name));
    }
    match std::fs::read_to_string(peers().join("missing").join(name)) {
        Ok(reason) => skip(what, reason.trim(), "KEYWARD_PEERS"),
        Err(_) => panic!("{name} is not installed; run: tests/peers/setup"),
    }
    None
}

/// Notes what is not tested, and why. Where the variable is `must`, that fails the test.
pub(crate) fn skip(what: &str, why: &str, variable: &str) {
    let must = std::env::var(variable).is_ok_and(|value| value == "must");
    assert!(!must, "not tested, though {variable} says that it must be: {what}: {why}");
    let line = format!("not tested: {what}: {why}\n");
    // Not by the macro, whose output the harness keeps to itself.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(file) = std::env::var_os("KEYWARD_SKIPPED") {
        // In one write, so that lines of other tests do not mix with it.
        let file = std::fs::OpenOptions::new().create(true).append(true).open(file);
        file.unwrap().write_all(line.as_bytes()).unwrap();
    }
}
