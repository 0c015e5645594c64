//! The nested calls of Cargo.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keyward_toolchain::{TARGET, Toolchain};
use serde_json::Value;

use crate::Error;

/// `cargo build` for the target, in release mode, without the environment of the outer build.
pub(crate) fn cargo_build(toolchain: &Toolchain, workspace: &Path, target: &Path) -> Command {
    let (cargo, rustc, linker) = match toolchain {
        Toolchain::Native { cargo, rustc } => (cargo, rustc, None),
        Toolchain::DebianWeb { cargo, rustc, linker } => (cargo, rustc, Some(linker)),
    };
    let mut command = nested(cargo, workspace);
    command.env("RUSTC", rustc);
    // Beside the outer build's files, and not in `OUT_DIR`: that is another directory for `cargo
    // clippy` and for `cargo test`, each of which would build the standard library again.
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
    choose(std::env::var_os("OUT_DIR"), std::env::var_os("CARGO_TARGET_DIR"), || of_workspace(cargo, workspace))
}

pub(crate) fn spawn(program: &Path, source: std::io::Error) -> Error {
    Error::Spawn { program: program.display().to_string(), source }
}

/// Chooses by the variables that Cargo and the user set.
fn choose(
    out_dir: Option<OsString>,
    target_dir: Option<OsString>,
    of_workspace: impl FnOnce() -> Result<PathBuf, Error>,
) -> Result<PathBuf, Error> {
    if let Some(out_dir) = out_dir.map(PathBuf::from) {
        // It is <target>/<profile>/build/<package>-<hash>/out.
        return Ok(out_dir.ancestors().nth(4).unwrap_or(&out_dir).to_owned());
    }
    match target_dir.map(PathBuf::from) {
        // Relative to this process, while Cargo runs in the workspace.
        Some(directory) => std::path::absolute(&directory).map_err(|source| Error::Read { path: directory, source }),
        None => of_workspace(),
    }
}

/// The target directory of a workspace, after Cargo's own rules.
fn of_workspace(cargo: &Path, workspace: &Path) -> Result<PathBuf, Error> {
    let mut command = nested(cargo, workspace);
    command.args(["metadata", "--no-deps", "--format-version", "1"]).stderr(Stdio::inherit());
    let output = command.output().map_err(|source| spawn(cargo, source))?;
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    match metadata.get("target_directory").and_then(Value::as_str) {
        Some(directory) => Ok(PathBuf::from(directory)),
        None => Err(Error::NoWorkspace { workspace: workspace.to_owned() }),
    }
}

/// A call of Cargo in a workspace, untouched by the environment of the build around it.
fn nested(cargo: &Path, workspace: &Path) -> Command {
    let mut command = Command::new(cargo);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(belongs_to_the_outer_build) {
            command.env_remove(name);
        }
    }
    command.current_dir(workspace);
    command
}

/// Whether a variable was set by the cargo that runs the build script, and would confuse the one that it starts.
fn belongs_to_the_outer_build(name: &str) -> bool {
    const EXACT: [&str; 8] =
        ["TARGET", "HOST", "OUT_DIR", "PROFILE", "OPT_LEVEL", "NUM_JOBS", "MAKEFLAGS", "CARGO_MAKEFLAGS"];
    const KEPT: [&str; 4] = ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "RUSTUP_AUTO_INSTALL"];
    // `CARGO_NET_*`, `CARGO_HTTP_*` and `CARGO_REGISTRIES_*` say how the registry is reached.
    let reaches_the_registry = ["CARGO_NET_", "CARGO_HTTP_", "CARGO_REGIST"].iter().any(|p| name.starts_with(p));
    let outer = ["CARGO", "RUST", "DEP_"].iter().any(|prefix| name.starts_with(prefix)) || EXACT.contains(&name);
    outer && !KEPT.contains(&name) && !reaches_the_registry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nested_build_keeps_what_reaches_the_registry_and_loses_the_rest() {
        for gone in ["CARGO_CFG_TARGET_OS", "RUSTFLAGS", "RUSTC_WRAPPER", "DEP_Z_ROOT", "OUT_DIR", "CARGO_MAKEFLAGS"] {
            assert!(belongs_to_the_outer_build(gone), "{gone}");
        }
        for kept in
            ["PATH", "HOME", "CARGO_HOME", "RUSTUP_AUTO_INSTALL", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_X_INDEX"]
        {
            assert!(!belongs_to_the_outer_build(kept), "{kept}");
        }
    }

    #[test]
    fn a_build_script_writes_beside_the_outer_build() {
        let out_dir = Some(OsString::from("/shop/target/debug/build/shop-0123/out"));
        let elsewhere = Some(OsString::from("/elsewhere"));
        let target = choose(out_dir, elsewhere, || panic!("the workspace is not asked"));
        assert_eq!(target.unwrap(), Path::new("/shop/target"));
    }

    #[test]
    fn elsewhere_the_users_target_directory_comes_first() {
        let target = choose(None, Some(OsString::from("made")), || panic!("not asked"));
        assert_eq!(target.unwrap(), std::env::current_dir().unwrap().join("made"));
    }

    #[test]
    fn elsewhere_files_go_to_the_workspaces_target_directory() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("plugin/src")).unwrap();
        std::fs::write(root.join("Cargo.toml"), "[workspace]\nmembers = [\"plugin\"]\n").unwrap();
        let package = "[package]\nname = \"plugin\"\nedition = \"2024\"\n";
        std::fs::write(root.join("plugin/Cargo.toml"), package).unwrap();
        std::fs::write(root.join("plugin/src/lib.rs"), "").unwrap();
        let cargo = keyward_toolchain::Places::of_this_machine().cargo;
        // A member's directory too: its files belong to the whole workspace.
        for workspace in [root.clone(), root.join("plugin")] {
            let target = choose(None, None, || of_workspace(&cargo, &workspace)).unwrap();
            assert_eq!(target, root.join("target"));
        }
        let error = choose(None, None, || of_workspace(&cargo, Path::new("/"))).unwrap_err();
        assert!(matches!(error, Error::NoWorkspace { .. }), "{error}");
    }
}
