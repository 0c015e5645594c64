//! The compiler that is chosen, and the message if there is none.

use crate::machine::{COMPILES, Machine};
use keyward_toolchain::{Reason, Toolchain, minimum};

const OLD: &str = "1.85.0";
const NEW: &str = "1.96.0";

fn reasons(machine: &Machine) -> Vec<Reason> {
    machine.find().unwrap_err().findings.into_iter().map(|finding| finding.reason).collect()
}

#[test]
fn a_compiler_with_the_target_is_preferred_to_debians() {
    let machine = Machine::new();
    machine.current(NEW, true, COMPILES);
    machine.debian(NEW);
    machine.linker("bin/wasm-ld");
    let (cargo, rustc) = (machine.at("bin/cargo"), machine.at("bin/rustc"));
    assert_eq!(machine.find().unwrap(), Toolchain::Native { cargo, rustc });
    assert_eq!(machine.compilations(), 1);
}

#[test]
fn without_the_target_debians_compiler_uses_the_linker_of_the_current_one() {
    let machine = Machine::new();
    machine.current(NEW, false, COMPILES);
    machine.debian(NEW);
    let linker = "rust/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld";
    machine.linker(linker);
    machine.linker("bin/wasm-ld-22");
    let (cargo, rustc) = (machine.at("usr/bin/cargo"), machine.at("usr/bin/rustc"));
    let linker = machine.at(linker);
    assert_eq!(machine.find().unwrap(), Toolchain::DebianWeb { cargo, rustc, linker });
}

#[test]
fn debians_compiler_and_a_linker_suffice() {
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
fn the_linker_of_the_compilers_llvm_is_preferred_and_a_broken_one_skipped() {
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
fn a_machine_without_a_compiler_is_an_error() {
    let machine = Machine::new();
    let error = machine.find().unwrap_err();
    let reasons: Vec<_> = error.findings.iter().map(|finding| &finding.reason).collect();
    assert_eq!(reasons, [&Reason::Absent], "Debian's compiler is not mentioned on other systems");
    let message = error.to_string();
    assert!(message.contains("bin/rustc: not installed, or does not run"), "{message}");
    assert!(message.contains(&format!("needed: Rust {} or newer", minimum())), "{message}");
    assert!(message.contains("help:   install Rust from https://rustup.rs"), "{message}");

    machine.program("bin/apt-get", "");
    let message = machine.find().unwrap_err().to_string();
    assert!(message.contains("usr/bin/rustc: not installed, or does not run"), "{message}");
    assert!(message.contains("help:   apt-get update && apt-get install rustc-web"), "{message}");
}

#[test]
fn a_compiler_that_is_too_old_is_reported_and_compiles_nothing() {
    let machine = Machine::new();
    machine.current(OLD, true, COMPILES);
    machine.debian(OLD);
    machine.linker("bin/wasm-ld");
    machine.program("bin/apt-get", "");
    let error = machine.find().unwrap_err();
    let message = error.to_string();
    assert!(message.contains("bin/rustc: Rust 1.85.0, too old"), "{message}");
    assert!(message.contains("usr/bin/rustc: Rust 1.85.0, too old"), "{message}");
    let apt = "help:   apt-get update && apt-get install rustc-web cargo-web rust-web-src";
    assert!(message.contains(apt), "{message}");
    assert_eq!(machine.compilations(), 0);
}

#[test]
fn the_message_has_the_commands_of_rustup_and_apt() {
    let machine = Machine::new();
    machine.current(NEW, false, COMPILES);
    machine.debian(OLD);
    machine.program("bin/rustup", "");
    machine.program("bin/apt-get", "");
    let message = machine.find().unwrap_err().to_string();
    assert!(
        message.contains("bin/rustc: Rust 1.96.0, without wasm32-unknown-unknown"),
        "{message}"
    );
    assert!(message.contains("help:   rustup target add wasm32-unknown-unknown\n"), "{message}");
    assert!(message.contains("or: apt-get update && apt-get install rustc-web"), "{message}");
}

#[test]
fn debians_compiler_needs_the_source_of_the_standard_library() {
    let machine = Machine::new();
    machine.debian(NEW);
    std::fs::remove_dir_all(machine.at("usr/lib/rustlib/src")).unwrap();
    assert_eq!(reasons(&machine), [Reason::Absent, Reason::NoSource]);
}

#[test]
fn the_source_of_the_standard_library_must_have_the_compilers_version() {
    let machine = Machine::new();
    machine.debian(NEW);
    machine.linker("bin/wasm-ld");
    machine.write("usr/lib/rustlib/src/rust/src/version", OLD);
    let message = machine.find().unwrap_err().to_string();
    assert!(message.contains("the standard library's source is 1.85.0"), "{message}");
}

#[test]
fn debians_compiler_needs_a_cargo_of_its_version() {
    let machine = Machine::new();
    machine.debian(NEW);
    machine.linker("bin/wasm-ld");
    machine.program("usr/bin/cargo", "echo cargo 1.65.0");
    assert_eq!(reasons(&machine), [Reason::Absent, Reason::NoCargo]);
    std::fs::remove_file(machine.at("usr/bin/cargo")).unwrap();
    assert_eq!(reasons(&machine), [Reason::Absent, Reason::NoCargo]);
}

#[test]
fn without_a_linker_the_message_has_the_package_of_the_compilers_llvm() {
    let machine = Machine::new();
    machine.current(NEW, false, COMPILES);
    machine.debian(NEW);
    machine.program("bin/apt-get", "");
    let error = machine.find().unwrap_err();
    assert_eq!(error.lacks_only_a_linker(), Some(Some(22)));
    let message = error.to_string();
    assert!(message.contains("apt-get update && apt-get install lld-22 "), "{message}");
}

#[test]
fn a_compiler_that_fails_to_compile_is_an_error() {
    for compile in ["echo linking with `rust-lld` failed >&2; exit 1", "echo text >$out", "true"] {
        let machine = Machine::new();
        machine.current(NEW, true, compile);
        let message = machine.find().unwrap_err().to_string();
        assert!(message.contains("does not compile a crate of one line:\n"), "{message}");
        // The failure is not recorded, so the next call finds the repaired compiler.
        machine.current(NEW, true, COMPILES);
        machine.find().unwrap();
    }
}

#[test]
fn a_check_is_recorded_until_the_compiler_or_the_linker_changes() {
    let machine = Machine::new();
    machine.debian(NEW);
    machine.linker("bin/wasm-ld");
    machine.find().unwrap();
    assert_eq!(machine.compilations(), 1);
    machine.find().unwrap();
    assert_eq!(machine.compilations(), 0, "it was recorded");
    machine.debian("1.97.0");
    machine.find().unwrap();
    assert_eq!(machine.compilations(), 1, "another compiler");
    machine.linker("bin/wasm-ld-22");
    machine.find().unwrap();
    assert_eq!(machine.compilations(), 1, "another linker");
    machine.current(NEW, true, COMPILES);
    machine.find().unwrap();
    assert_eq!(machine.compilations(), 1, "another path");
}

#[test]
fn only_the_target_directory_is_written_to() {
    let machine = Machine::new();
    machine.debian(NEW);
    machine.linker("bin/wasm-ld");
    let before = machine.files();
    machine.find().unwrap();
    std::fs::remove_file(machine.at("compiled")).unwrap();
    let after = machine.files().into_iter().filter(|file| !before.contains(file));
    assert_eq!(after.collect::<Vec<_>>(), [machine.at("target/toolchain/checked")]);
}
