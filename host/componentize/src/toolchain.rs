//! Finds a compiler for WebAssembly.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

/// The target that plugins are built for: no operating system, so that nothing is imported but what the world has.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// A compiler that can build for WebAssembly, and how to call it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Toolchain {
    /// The compiler at hand has the target's standard library.
    Native {
        /// `cargo`.
        cargo: PathBuf,
        /// `rustc`.
        rustc: PathBuf,
    },
    /// Debian's `rustc-web` with the sources of the standard library, which is built along with the plugins. That needs
    /// `RUSTC_BOOTSTRAP`, and a linker for WebAssembly from elsewhere.
    DebianWeb {
        /// `cargo`.
        cargo: PathBuf,
        /// `rustc`.
        rustc: PathBuf,
        /// `rust-lld` or `wasm-ld`.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// Looks for a compiler: first the one that runs this build, then Debian's.
    ///
    /// Rustup is not asked for a target, since asking may download: the answer is in the compiler's directory.
    ///
    /// # Errors
    ///
    /// [`Error::NoToolchain`] with the commands that install one.
    pub fn find() -> Result<Self, Error> {
        let rustc = std::env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
        let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
        let mut looked_in = Vec::new();
        let mut linkers = vec![];

        match sysroot(&rustc) {
            Some(sysroot) => {
                if sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
                    return Ok(Self::Native { cargo, rustc });
                }
                linkers = rust_lld(&sysroot);
                looked_in.push(format!("{} (no {TARGET} in it)", sysroot.display()));
            }
            None => looked_in.push(format!("{} (it does not run)", rustc.display())),
        }

        let (rustc, cargo) = (PathBuf::from("/usr/bin/rustc"), PathBuf::from("/usr/bin/cargo"));
        let sources = Path::new("/usr/lib/rustlib/src/rust/library/std/Cargo.toml");
        match sysroot(&rustc) {
            Some(sysroot) if sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() => {
                return Ok(Self::Native { cargo, rustc });
            }
            Some(_) if !cargo.exists() => looked_in.push("/usr/bin/rustc (no /usr/bin/cargo beside it)".to_owned()),
            Some(_) if !sources.exists() => looked_in.push("/usr/bin/rustc (no rust-web-src)".to_owned()),
            Some(sysroot) => {
                linkers.extend(rust_lld(&sysroot));
                linkers.extend(in_path());
                match linkers.into_iter().find(|linker| linker.exists()) {
                    Some(linker) => return Ok(Self::DebianWeb { cargo, rustc, linker }),
                    None => looked_in.push("/usr/bin/rustc (no rust-lld or wasm-ld: apt-get install lld)".to_owned()),
                }
            }
            None => looked_in.push("/usr/bin/rustc (not there)".to_owned()),
        }
        Err(Error::NoToolchain { looked_in: looked_in.join(", ") })
    }

    /// A call of `cargo build` for the target, in release mode, untouched by the environment of the build around it.
    pub(crate) fn cargo_build(&self, workspace: &Path, target_dir: &Path) -> Command {
        let (cargo, rustc) = match self {
            Self::Native { cargo, rustc } | Self::DebianWeb { cargo, rustc, .. } => (cargo, rustc),
        };
        let mut command = Command::new(cargo);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(belongs_to_the_outer_build) {
                command.env_remove(name);
            }
        }
        command.current_dir(workspace).env("RUSTC", rustc);
        command.args(["build", "--release", "--locked", "--target", TARGET, "--target-dir"]).arg(target_dir);
        if let Self::DebianWeb { linker, .. } = self {
            command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            command.arg("-Zbuild-std=std,panic_abort");
        }
        command
    }
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

fn sysroot(rustc: &Path) -> Option<PathBuf> {
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(path.trim()))
}

/// The linker that comes with a compiler, wherever the host's name puts it.
fn rust_lld(sysroot: &Path) -> Vec<PathBuf> {
    let hosts = std::fs::read_dir(sysroot.join("lib/rustlib")).into_iter().flatten().flatten();
    hosts.map(|host| host.path().join("bin").join(format!("rust-lld{}", std::env::consts::EXE_SUFFIX))).collect()
}

fn in_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["rust-lld", "wasm-ld", "wasm-ld-19", "wasm-ld-16", "wasm-ld-14"];
    std::env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name))).collect()
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
    fn a_machine_without_a_compiler_is_told_which_command_mends_it() {
        let message = Error::NoToolchain { looked_in: "/usr/bin/rustc (not there)".to_owned() }.to_string();
        assert!(message.contains("rustup target add wasm32-unknown-unknown"), "{message}");
        assert!(message.contains("apt-get install rustc-web cargo-web rust-web-src"), "{message}");
    }
}
