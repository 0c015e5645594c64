//! Which compiler is chosen on machines of all kinds, and what the message says where there is none.

use crate::machine::{COMPILES, Machine};
use keyward_toolchain::{Reason, Toolchain, minimum};

const OLD: &str = "1.85.0";
const NEW: &str = "1.96.0";

fn reasons(machine: &Machine) -> Vec<Reason> {
    machine.find().unwrap_err().findings.into_iter().map(|finding| finding.reason).collect()
}

#[test]
fn a_compiler_with_the_target_is_taken_before_debians() {
    let machine = Machine::new();
    machine.at_hand(NEW, true, COMPILES);
    machine.debian(NEW);
    machine.linker("bin/wasm-ld");
    let (cargo, rustc) = (machine.at("bin/cargo"), machine.at("bin/rustc"));
    assert_eq!(machine.find().unwrap(), Toolchain::Native { cargo, rustc });
    assert_eq!(machine.compiled(), 1);
}

#[test]
fn without_the_target_debians_compiler_is_taken_with_the_other_ones_linker() {
    let machine = Machine::new();
    machine.at_hand(NEW, false, COMPILES);
    machine.debian(NEW);
    let linker = "rust/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld";
    machine.linker(linker);
    machine.linker("bin/wasm-ld-22");
    let (cargo, rustc) = (machine.at("usr/bin/cargo"), machine.at("usr/bin/rustc"));
    let linker = machine.at(linker);
    assert_eq!(machine.find().unwrap(), Toolchain::DebianWeb { cargo, rustc, linker });
}

#[test]
fn debians_compiler_alone_is_enough_with_a_linker() {
    let machine = Machine::new();
    machine.debian(NEW);
    machine.linker("bin/wasm-ld-22");
    assert!(matches!(machine.find().unwrap(), Toolchain::DebianWeb { .. }));
}

#[test]
fn debians_compiler_with_the_target_needs_no_source() {
    let machine = Machine::new();
    machine.rustc("usr/bin/rustc", "usr", NEW, COMPILES);
    std::fs::create_dir_all(machine.at("usr/lib/rustlib/wasm32-unknown-unknown/lib")).unwrap();
    assert!(matches!(machine.find().unwrap(), Toolchain::Native { .. }));
}

#[test]
fn the_linker_of_the_compilers_llvm_comes_first_and_one_that_fails_is_passed_over() {
    let machine = Machine::new();
    machine.debian(NEW);
    for name in ["wasm-ld-14", "wasm-ld-22", "wasm-ld-19"] {
        machine.linker(&format!("bin/{name}"));
    }
    let chosen = || match machine.find().unwrap() {
        Toolchain::DebianWeb { linker, .. } => linker,
        other @ Toolchain::Native { .. } => panic!("{other:?}"),
    };
    assert_eq!(chosen(), machine.at("bin/wasm-ld-22"));
    machine.program("bin/wasm-ld-22", "echo unknown relocation >&2; exit 1");
    assert_eq!(chosen(), machine.at("bin/wasm-ld-19"));
}

#[test]
fn no_compiler_at_all() {
    let machine = Machine::new();
    let missing = machine.find().unwrap_err();
    let reasons: Vec<_> = missing.findings.iter().map(|finding| &finding.reason).collect();
    assert_eq!(reasons, [&Reason::Absent], "Debian's is of no interest elsewhere");
    let message = missing.to_string();
    assert!(message.contains("bin/rustc: not installed, or does not run"), "{message}");
    assert!(message.contains(&format!("needed: Rust {} or newer", minimum())), "{message}");
    assert!(message.contains("help:   install Rust from https://rustup.rs"), "{message}");

    machine.program("bin/apt-get", "");
    let message = machine.find().unwrap_err().to_string();
    assert!(message.contains("usr/bin/rustc: not installed, or does not run"), "{message}");
    assert!(message.contains("help:   apt-get update && apt-get install rustc-web"), "{message}");
}

#[test]
fn a_compiler_that_is_too_old_is_reported_with_its_version_and_never_run_to_compile() {
    let machine = Machine::new();
    machine.at_hand(OLD, true, COMPILES);
    machine.debian(OLD);
    machine.linker("bin/wasm-ld");
    machine.program("bin/apt-get", "");
    let missing = machine.find().unwrap_err();
    let message = missing.to_string();
    assert!(message.contains("bin/rustc: Rust 1.85.0, too old"), "{message}");
    assert!(message.contains("usr/bin/rustc: Rust 1.85.0, too old"), "{message}");
    let apt = "help:   apt-get update && apt-get install rustc-web cargo-web rust-web-src";
    assert!(message.contains(apt), "{message}");
    assert_eq!(machine.compiled(), 0);
}

#[test]
fn the_message_has_rustups_command_where_rustup_is() {
    let machine = Machine::new();
    machine.at_hand(NEW, false, COMPILES);
    machine.debian(OLD);
    machine.program("bin/rustup", "");
    machine.program("bin/apt-get", "");
    let message = machine.find().unwrap_err().to_string();
    assert!(message.contains("bin/rustc: Rust 1.96.0, without wasm32-unknown-unknown"), "{message}");
    assert!(message.contains("help:   rustup target add wasm32-unknown-unknown\n"), "{message}");
    assert!(message.contains("or: apt-get update && apt-get install rustc-web"), "{message}");
}

#[test]
fn debians_compiler_without_the_standard_librarys_source() {
    let machine = Machine::new();
    machine.debian(NEW);
    std::fs::remove_dir_all(machine.at("usr/lib/rustlib/src")).unwrap();
    assert_eq!(reasons(&machine), [Reason::Absent, Reason::NoSource]);
}

#[test]
fn debians_compiler_with_the_source_of_another_version() {
    let machine = Machine::new();
    machine.debian(NEW);
    machine.linker("bin/wasm-ld");
    machine.write("usr/lib/rustlib/src/rust/src/version", OLD);
    let message = machine.find().unwrap_err().to_string();
    assert!(message.contains("the standard library's source is of 1.85.0"), "{message}");
}

#[test]
fn debians_compiler_without_cargo_or_with_an_old_one() {
    let machine = Machine::new();
    machine.debian(NEW);
    machine.linker("bin/wasm-ld");
    machine.program("usr/bin/cargo", "echo cargo 1.65.0");
    assert_eq!(reasons(&machine), [Reason::Absent, Reason::NoCargo]);
    std::fs::remove_file(machine.at("usr/bin/cargo")).unwrap();
    assert_eq!(reasons(&machine), [Reason::Absent, Reason::NoCargo]);
}

#[test]
fn debians_compiler_without_a_linker_needs_the_one_of_its_llvm() {
    let machine = Machine::new();
    machine.at_hand(NEW, false, COMPILES);
    machine.debian(NEW);
    machine.program("bin/apt-get", "");
    let missing = machine.find().unwrap_err();
    assert_eq!(missing.lacks_only_a_linker(), Some(Some(22)));
    let message = missing.to_string();
    assert!(message.contains("apt-get update && apt-get install lld-22 "), "{message}");
}

#[test]
fn a_compiler_that_has_the_target_but_does_not_compile_is_not_taken() {
    for compile in ["echo linking with `rust-lld` failed >&2; exit 1", "echo text >$out", "true"] {
        let machine = Machine::new();
        machine.at_hand(NEW, true, compile);
        let message = machine.find().unwrap_err().to_string();
        assert!(message.contains("does not compile a crate of one line:\n"), "{message}");
        // Not remembered: the next call finds what was repaired meanwhile.
        machine.at_hand(NEW, true, COMPILES);
        machine.find().unwrap();
    }
}

#[test]
fn a_proof_is_remembered_until_the_compiler_or_the_linker_changes() {
    let machine = Machine::new();
    machine.debian(NEW);
    machine.linker("bin/wasm-ld");
    machine.find().unwrap();
    assert_eq!(machine.compiled(), 1);
    machine.find().unwrap();
    assert_eq!(machine.compiled(), 0, "it is remembered");
    machine.debian("1.97.0");
    machine.find().unwrap();
    assert_eq!(machine.compiled(), 1, "another compiler");
    machine.linker("bin/wasm-ld-22");
    machine.find().unwrap();
    assert_eq!(machine.compiled(), 1, "another linker");
    machine.at_hand(NEW, true, COMPILES);
    machine.find().unwrap();
    assert_eq!(machine.compiled(), 1, "another place");
}

#[test]
fn nothing_is_written_outside_of_the_target_directory() {
    let machine = Machine::new();
    machine.debian(NEW);
    machine.linker("bin/wasm-ld");
    let before = machine.files();
    machine.find().unwrap();
    std::fs::remove_file(machine.at("compiled")).unwrap();
    let after = machine.files().into_iter().filter(|file| !before.contains(file));
    assert_eq!(after.collect::<Vec<_>>(), [machine.at("target/toolchain/proved")]);
}
