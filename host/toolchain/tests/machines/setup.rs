//! `scripts/setup`, with shell scripts in place of package managers.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::machine::{COMPILES, Machine, REAL_RUSTC};

const OLD: &str = "1.85.0";
const NEW: &str = "1.96.0";
/// The tools that the script needs, which every system has.
const TOOLS: [&str; 20] = [
    "cat", "chmod", "cksum", "cp", "dirname", "env", "find", "grep", "head", "ln", "ls", "mkdir",
    "printf", "rm", "sed", "sh", "sort", "tail", "touch", "ld",
];

/// The output of the script, and whether it succeeded.
struct Run {
    success: bool,
    text: String,
}

fn real(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

/// A machine with the tools and a C compiler, whose user is root.
pub(crate) fn machine() -> Machine {
    let machine = Machine::new();
    for tool in TOOLS {
        if let Some(path) = real(tool) {
            std::os::unix::fs::symlink(path, machine.at("bin").join(tool)).unwrap();
        }
    }
    std::os::unix::fs::symlink(real("cc").unwrap(), machine.at("bin/cc")).unwrap();
    machine.program("bin/id", "echo 0");
    machine
}

/// Adds apt-get, with one version of Debian's Rust in its list and another one in the archive.
fn with_apt(machine: &Machine, listed: &str, archived: &str) {
    for version in [OLD, NEW] {
        machine.debian(version);
        for program in ["rustc", "cargo"] {
            let (from, to) = (format!("usr/bin/{program}"), format!("pool/{program}-{version}"));
            std::fs::create_dir_all(machine.at("pool")).unwrap();
            std::fs::rename(machine.at(&from), machine.at(&to)).unwrap();
        }
        std::fs::remove_dir_all(machine.at("usr/lib")).unwrap();
    }
    machine.linker("pool/wasm-ld-22");
    machine.write("listed", listed);
    machine.write("archived", archived);
    let root = machine.at("").display().to_string();
    machine.program("bin/apt-cache", &format!("echo \"  Candidate: $(cat {root}listed)+dfsg1-1\""));
    machine.program(
        "bin/apt-get",
        &format!(
            r#"
cd {root}
echo "$*" >>apt
for word in "$@"; do
    case $word in
    update) cp archived listed ;;
    rustc-web) cp "pool/rustc-$(cat listed)" usr/bin/rustc ;;
    cargo-web) cp "pool/cargo-$(cat listed)" usr/bin/cargo ;;
    rust-web-src)
        mkdir -p usr/lib/rustlib/src/rust/library/std usr/lib/rustlib/src/rust/src
        touch usr/lib/rustlib/src/rust/library/std/Cargo.toml
        cp listed usr/lib/rustlib/src/rust/src/version
        ;;
    lld-22) cp pool/wasm-ld-22 usr/bin ;;
    gcc) ln -s {cc} bin/cc ;;
    esac
done"#,
            cc = real("cc").unwrap().display()
        ),
    );
}

fn apt_calls(machine: &Machine) -> Vec<String> {
    let log = std::fs::read_to_string(machine.at("apt")).unwrap_or_default();
    let calls = log.lines().map(|line| line.replace("--yes --quiet ", ""));
    calls.map(|line| line.replace("--no-install-recommends ", "")).collect()
}

/// Runs the script, with more variables.
fn setup(machine: &Machine, variables: &[(&str, &str)]) -> Run {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap().stdout;
    let rustc = PathBuf::from(String::from_utf8(sysroot).unwrap().trim()).join("bin/rustc");
    let path = std::env::join_paths([machine.at("bin"), machine.at("usr/bin")]).unwrap();
    let mut command = Command::new(root.join("scripts/setup"));
    command.env_clear().env("PATH", path).env("CARGO_TARGET_DIR", machine.at("target"));
    command.env(REAL_RUSTC, rustc).env("HOME", machine.at("work"));
    command.arg("--debian").arg(machine.at("usr")).envs(variables.iter().copied());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let [out, err] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    Run { success: status.success(), text: format!("{out}{err}") }
}

#[test]
fn nothing_is_installed_or_printed_if_everything_is_there() {
    let machine = machine();
    with_apt(&machine, NEW, NEW);
    machine.current(NEW, true, COMPILES);
    for compilations in [1, 0] {
        let run = setup(&machine, &[]);
        assert!(run.success && run.text.is_empty(), "{}", run.text);
        assert_eq!(machine.compilations(), compilations);
    }
    assert!(apt_calls(&machine).is_empty());
}

#[test]
fn the_package_list_is_updated_before_debians_rust_is_installed() {
    let machine = machine();
    with_apt(&machine, OLD, NEW);
    machine.current(NEW, false, COMPILES);
    machine.linker("rust/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
    let run = setup(&machine, &[]);
    assert!(run.success, "{}", run.text);
    assert_eq!(apt_calls(&machine), ["update", "install rustc-web cargo-web rust-web-src"]);
    assert!(
        run.text.contains("apt-get: installing rustc-web cargo-web rust-web-src\n"),
        "{}",
        run.text
    );
    assert!(run.text.contains("compiled by"), "{}", run.text);
    assert_eq!(machine.compilations(), 1, "the new compiler was checked");
}

#[test]
fn debians_own_old_compiler_is_upgraded() {
    let machine = machine();
    with_apt(&machine, OLD, NEW);
    machine.debian(OLD);
    machine.current(NEW, false, COMPILES);
    machine.linker("rust/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
    let run = setup(&machine, &[]);
    assert!(run.success, "{}", run.text);
    let rustc = std::fs::read_to_string(machine.at("usr/bin/rustc")).unwrap();
    assert!(rustc.contains(NEW));
}

#[test]
fn nothing_is_installed_if_debians_rust_is_too_old() {
    let machine = machine();
    with_apt(&machine, OLD, OLD);
    machine.current(NEW, false, COMPILES);
    let run = setup(&machine, &[]);
    assert!(!run.success, "{}", run.text);
    assert_eq!(apt_calls(&machine), ["update"]);
    for part in [
        "apt-get: rustc-web 1.85.0, the newest here, is older than Rust ",
        "bin/rustc: Rust 1.96.0, without wasm32-unknown-unknown\n",
        "usr/bin/rustc: not installed, or does not run\n",
        "  needed: Rust ",
        "  help:   ",
    ] {
        assert!(run.text.contains(part), "{part} is not in:\n{}", run.text);
    }
}

#[test]
fn rustup_adds_the_target_unless_it_may_not_install() {
    let machine = machine();
    machine.current(NEW, false, COMPILES);
    let library = machine.at("rust/lib/rustlib/wasm32-unknown-unknown/lib");
    machine.program(
        "bin/rustup",
        &format!(
            "[ \"$*\" = 'target add wasm32-unknown-unknown' ] && mkdir -p {}",
            library.display()
        ),
    );
    let run = setup(&machine, &[("RUSTUP_AUTO_INSTALL", "0")]);
    assert!(!run.success && !library.exists(), "{}", run.text);
    assert!(
        run.text.contains("  help:   rustup target add wasm32-unknown-unknown\n"),
        "{}",
        run.text
    );
    let run = setup(&machine, &[]);
    assert!(run.success && library.exists(), "{}", run.text);
    assert!(run.text.contains("(rustup target add)\n"), "{}", run.text);
}

#[test]
fn a_machine_without_rust_gets_debians_with_a_linker() {
    let machine = machine();
    with_apt(&machine, OLD, NEW);
    let run = setup(&machine, &[]);
    assert!(run.success, "{}", run.text);
    let installed = ["update", "install rustc-web cargo-web rust-web-src", "install lld-22"];
    assert_eq!(apt_calls(&machine), installed);
}

#[test]
fn without_rust_and_packages_the_message_has_rustups_address() {
    let machine = machine();
    let run = setup(&machine, &[]);
    assert!(!run.success);
    assert!(run.text.contains("found:  no rustc that runs"), "{}", run.text);
    assert!(run.text.contains("help:   install Rust from https://rustup.rs"), "{}", run.text);
}

#[test]
fn an_old_compiler_of_rustup_is_reported_and_not_replaced() {
    let machine = machine();
    with_apt(&machine, NEW, NEW);
    machine.current(OLD, true, COMPILES);
    machine.program("bin/rustup", "exit 1");
    let run = setup(&machine, &[("RUSTUP_AUTO_INSTALL", "0")]);
    assert!(!run.success && apt_calls(&machine).is_empty(), "{}", run.text);
    assert!(run.text.contains("found:  Rust 1.85.0, too old\n"), "{}", run.text);
    assert!(run.text.contains("rustup toolchain install"), "{}", run.text);
}

#[test]
fn a_user_who_may_not_install_gets_the_command() {
    let machine = machine();
    with_apt(&machine, NEW, NEW);
    machine.current(NEW, false, COMPILES);
    machine.program("bin/id", "echo 1000");
    machine.program("bin/sudo", "exit 1");
    let run = setup(&machine, &[]);
    assert!(!run.success && apt_calls(&machine).is_empty(), "{}", run.text);
    let command = "apt-get update && apt-get install rustc-web cargo-web rust-web-src lld ";
    assert!(run.text.contains(command), "{}", run.text);
}

#[test]
fn a_missing_c_compiler_is_installed_first() {
    let machine = machine();
    with_apt(&machine, NEW, NEW);
    machine.current(NEW, true, COMPILES);
    std::fs::remove_file(machine.at("bin/cc")).unwrap();
    let run = setup(&machine, &[]);
    assert!(run.success, "{}", run.text);
    assert_eq!(apt_calls(&machine), ["update", "install gcc libc6-dev"]);
}

#[test]
fn a_compiler_that_does_not_compile_is_not_enough() {
    let machine = machine();
    machine.current(NEW, true, "echo the linker is broken >&2; exit 1");
    let run = setup(&machine, &[]);
    assert!(!run.success);
    assert!(run.text.contains("does not compile a crate of one line"), "{}", run.text);
    assert!(run.text.contains("the linker is broken"), "{}", run.text);
}
