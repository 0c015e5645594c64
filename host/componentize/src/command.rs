//! Nested runs of Cargo.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use keyward_toolchain::{TARGET, Toolchain};
use serde_json::Value;

use crate::error::Error;

/// `cargo build` for the target, in release mode, without the environment of the outer build.
pub(crate) fn cargo_build(toolchain: &Toolchain, workspace: &Path, target: &Path) -> Command {
    let (cargo, rustc, linker) = match toolchain {
        Toolchain::Native { cargo, rustc } => (cargo, rustc, None),
        Toolchain::DebianWeb { cargo, rustc, linker } => (cargo, rustc, Some(linker)),
    };
    let mut command = nested(cargo, workspace);
    command.env("RUSTC", rustc);
    // Next to the outer build's files, and not in `OUT_DIR`, which differs for `cargo clippy` and
    // `cargo test`: each would build the standard library again.
    command.args(["build", "--release", "--locked", "--target", TARGET, "--target-dir"]);
    command.arg(target.join("guest-wasm"));
    if let Some(linker) = linker {
        command.env("RUSTC_BOOTSTRAP", "1");
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        command.arg("-Zbuild-std=std,panic_abort");
    }
    command
}

/// The target directory for all files: in a build script the outer build's, elsewhere that of the
/// workspace.
pub(crate) fn target_dir(cargo: &Path, workspace: &Path) -> Result<PathBuf, Error> {
    let (out_dir, target_dir) = (std::env::var_os("OUT_DIR"), std::env::var_os("CARGO_TARGET_DIR"));
    choose(out_dir, target_dir, || of_workspace(cargo, workspace))
}

/// Runs a command to its end.
pub(crate) fn output(command: &mut Command) -> Result<Output, Error> {
    command.output().map_err(|source| {
        let program = Path::new(command.get_program()).display().to_string();
        Error::Spawn { program, source }
    })
}

/// Chooses a target directory by the variables that Cargo and the user set.
fn choose(
    out_dir: Option<OsString>,
    target_dir: Option<OsString>,
    of_workspace: impl FnOnce() -> Result<PathBuf, Error>,
) -> Result<PathBuf, Error> {
    if let Some(out_dir) = out_dir.map(PathBuf::from) {
        // <target>/<profile>/build/<package>-<hash>/out
        return Ok(out_dir.ancestors().nth(4).unwrap_or(&out_dir).to_owned());
    }
    match target_dir.map(PathBuf::from) {
        // Made absolute here: the nested Cargo runs in another directory.
        Some(directory) => std::path::absolute(&directory)
            .map_err(|source| Error::Read { path: directory, source }),
        None => of_workspace(),
    }
}

/// The target directory of a workspace, by Cargo's own rules.
fn of_workspace(cargo: &Path, workspace: &Path) -> Result<PathBuf, Error> {
    let mut command = nested(cargo, workspace);
    command.args(["metadata", "--no-deps", "--format-version", "1"]).stderr(Stdio::inherit());
    let output = output(&mut command)?;
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    match metadata.get("target_directory").and_then(Value::as_str) {
        Some(directory) => Ok(PathBuf::from(directory)),
        None => Err(Error::NoWorkspace { workspace: workspace.to_owned() }),
    }
}

/// A command that runs Cargo in a workspace, without the environment of the outer build.
fn nested(cargo: &Path, workspace: &Path) -> Command {
    let mut command = Command::new(cargo);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_outer_build) {
            command.env_remove(name);
        }
    }
    command.current_dir(workspace);
    command
}

/// Whether the outer Cargo set a variable that would affect the nested one.
fn is_of_outer_build(name: &str) -> bool {
    const PREFIXES: [&str; 3] = ["CARGO", "RUST", "DEP_"];
    const NAMES: [&str; 8] = [
        "TARGET",
        "HOST",
        "OUT_DIR",
        "PROFILE",
        "OPT_LEVEL",
        "NUM_JOBS",
        "MAKEFLAGS",
        "CARGO_MAKEFLAGS",
    ];
    // Where the tools are, and how the registry is reached.
    const KEPT: [&str; 4] =
        ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "RUSTUP_AUTO_INSTALL"];
    const KEPT_PREFIXES: [&str; 3] = ["CARGO_NET_", "CARGO_HTTP_", "CARGO_REGIST"];
    let has_prefix = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let is_kept = KEPT.contains(&name) || has_prefix(&KEPT_PREFIXES);
    (NAMES.contains(&name) || has_prefix(&PREFIXES)) && !is_kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nested_build_inherits_no_variables_but_those_of_the_registry() {
        for removed in [
            "CARGO_CFG_TARGET_OS",
            "RUSTFLAGS",
            "RUSTC_WRAPPER",
            "DEP_Z_ROOT",
            "OUT_DIR",
            "CARGO_MAKEFLAGS",
        ] {
            assert!(is_of_outer_build(removed), "{removed}");
        }
        for inherited in [
            "PATH",
            "HOME",
            "CARGO_HOME",
            "RUSTUP_AUTO_INSTALL",
            "CARGO_NET_OFFLINE",
            "CARGO_REGISTRIES_X_INDEX",
        ] {
            assert!(!is_of_outer_build(inherited), "{inherited}");
        }
    }

    #[test]
    fn a_build_script_writes_to_the_target_directory_of_the_outer_build() {
        let out_dir = Some(OsString::from("/shop/target/debug/build/shop-0123/out"));
        let elsewhere = Some(OsString::from("/elsewhere"));
        let target = choose(out_dir, elsewhere, || panic!("not needed"));
        assert_eq!(target.unwrap(), Path::new("/shop/target"));
    }

    #[test]
    fn outside_of_a_build_script_cargo_target_dir_is_used_first() {
        let target = choose(None, Some(OsString::from("relative")), || panic!("not needed"));
        assert_eq!(target.unwrap(), std::env::current_dir().unwrap().join("relative"));
    }

    #[test]
    fn outside_of_a_build_script_the_workspaces_target_directory_is_used() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("plugin/src")).unwrap();
        std::fs::write(root.join("Cargo.toml"), "[workspace]\nmembers = [\"plugin\"]\n").unwrap();
        let package = "[package]\nname = \"plugin\"\nedition = \"2024\"\n";
        std::fs::write(root.join("plugin/Cargo.toml"), package).unwrap();
        std::fs::write(root.join("plugin/src/lib.rs"), "").unwrap();
        let cargo = keyward_toolchain::SearchPaths::from_env().cargo;
        // A member uses the target directory of its workspace.
        for workspace in [root.clone(), root.join("plugin")] {
            let target = choose(None, None, || of_workspace(&cargo, &workspace)).unwrap();
            assert_eq!(target, root.join("target"));
        }
        let error = choose(None, None, || of_workspace(&cargo, Path::new("/"))).unwrap_err();
        assert!(matches!(error, Error::NoWorkspace { .. }), "{error}");
    }
}
