//! `tests/peers/setup` and `scripts/skip`: a missing requirement is noted, or an error.

use std::path::Path;
use std::process::{Command, Output};

use crate::machine::Machine;
use crate::setup::machine;

/// Runs a script of the repository with the machine's programs. Returns whether it succeeded, and
/// its output.
fn run(machine: &Machine, script: &str, arguments: &[&str], must: &str) -> (bool, String) {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut command = Command::new(root.join(script));
    command.env_clear().env("PATH", machine.at("bin")).args(arguments).env("KEYWARD_PEERS", must);
    command
        .env("CARGO_TARGET_DIR", machine.at("target"))
        .env("KEYWARD_SKIPPED", machine.at("skipped"));
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (status.success(), text)
}

#[test]
fn missing_peers_are_noted_with_the_reason() {
    let machine = machine();
    // As on Debian 12, whose Node is too old; without Python no other Node can be installed.
    machine.program("bin/node", r#"[ "$1" = --version ] && echo v18.20.4"#);
    let directory = machine.at("peers").display().to_string();
    let (success, text) = run(&machine, "tests/peers/setup", &[&directory], "");
    assert!(success, "{text}");
    assert!(text.contains("needs Node 20 with npm; found: v18.20.4"), "{text}");
    for peer in ["azurite", "tedious", "keyvault", "webhdfs", "blob", "browser", "python"] {
        let reason = std::fs::read_to_string(machine.at("peers/missing").join(peer)).unwrap();
        assert!(reason.starts_with("Python 3.11 or newer with venv is needed"), "{peer}: {reason}");
    }
}

#[test]
fn missing_peers_fail_the_setup_if_they_are_required() {
    let machine = machine();
    let directory = machine.at("peers").display().to_string();
    let (success, text) = run(&machine, "tests/peers/setup", &[&directory], "must");
    assert!(!success && text.contains("KEYWARD_PEERS=must: this is a failure"), "{text}");
}

#[test]
fn a_skipped_check_is_noted_and_fails_if_it_is_required() {
    let machine = machine();
    for (must, expected) in [("", true), ("may", true), ("must", false)] {
        let arguments = ["advisories", "no network", "KEYWARD_PEERS"];
        let (success, text) = run(&machine, "scripts/skip", &arguments, must);
        assert_eq!(success, expected, "{must}: {text}");
        assert!(text.starts_with("not checked: advisories: no network\n"), "{text}");
    }
    let noted = std::fs::read_to_string(machine.at("skipped")).unwrap();
    assert_eq!(noted, "not checked: advisories: no network\n".repeat(3));
}
