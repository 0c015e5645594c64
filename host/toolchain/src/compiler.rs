//! A Rust compiler of this machine, and its own description.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target of plugins. It has no operating system, so a plugin imports only what its world has.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The oldest Rust version that compiles the plugins: the workspace's `rust-version`.
#[must_use]
pub fn minimum() -> Version {
    Version::parse(env!("CARGO_PKG_RUST_VERSION"))
}

/// A Rust version. What follows the three numbers, such as `-nightly`, is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Version {
    /// Parses `1.95`, `1.95.0` or `1.97.0-nightly`. A number that is missing or malformed is zero,
    /// so a compiler that does not print its version counts as too old.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut numbers = text.trim().splitn(3, '.').map(leading_number);
        let mut next = || numbers.next().unwrap_or_default();
        Self { major: next(), minor: next(), patch: next() }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

fn leading_number(text: &str) -> u32 {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end).unwrap_or_default().parse().unwrap_or_default()
}

/// A compiler that runs.
pub(crate) struct Compiler {
    pub(crate) rustc: PathBuf,
    pub(crate) sysroot: PathBuf,
    pub(crate) version: Version,
    /// The major version of its LLVM, if it prints one.
    pub(crate) llvm: Option<u32>,
    /// The output of `rustc -vV`, which differs for every build of the compiler.
    pub(crate) description: String,
}

impl Compiler {
    /// Queries a compiler for its version and directory; `None` if it does not run.
    pub(crate) fn query(rustc: &Path) -> Option<Self> {
        let description = output(Command::new(rustc).arg("-vV"))?;
        let sysroot = output(Command::new(rustc).args(["--print", "sysroot"]))?;
        let field = |name| description.lines().find_map(|line| line.strip_prefix(name));
        Some(Self {
            rustc: rustc.to_owned(),
            sysroot: PathBuf::from(sysroot.trim()),
            version: Version::parse(field("release: ").unwrap_or_default()),
            llvm: field("LLVM version: ").map(leading_number),
            description,
        })
    }

    /// Whether the standard library for plugins is installed.
    pub(crate) fn has_target(&self) -> bool {
        self.sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir()
    }

    /// The directory of the standard library's source, whether or not it is installed.
    pub(crate) fn source(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib/src/rust")
    }

    /// The linkers that come with the compiler.
    pub(crate) fn linkers(&self) -> impl Iterator<Item = PathBuf> {
        let hosts = std::fs::read_dir(self.sysroot.join("lib/rustlib")).into_iter().flatten();
        let name = format!("rust-lld{}", std::env::consts::EXE_SUFFIX);
        hosts.flatten().map(move |host| host.path().join("bin").join(&name))
    }
}

/// The standard output of a command that succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let sorted =
            ["1.63.0", "1.85", "1.95.0-beta.2", "1.95.1", "1.96.0 (Debian)", "1.100.0", "2.0"];
        assert!(sorted.map(Version::parse).is_sorted_by(|a, b| a < b));
        assert_eq!(Version::parse("1.95"), Version::parse("1.95.0"));
        assert_eq!(Version::parse("1.96.0-nightly").to_string(), "1.96.0");
    }

    #[test]
    fn a_malformed_version_is_the_oldest() {
        for text in ["", "?", "one.two", "-1.2"] {
            assert!(Version::parse(text) < Version::parse("1.0"), "{text}");
        }
    }

    #[test]
    fn the_minimum_is_the_rust_version_of_both_workspaces() {
        let line = format!("rust-version = \"{}\"", env!("CARGO_PKG_RUST_VERSION"));
        let host = include_str!("../../../Cargo.toml");
        let plugins = include_str!("../../../plugins/Cargo.toml");
        for workspace in [host, plugins] {
            assert!(workspace.lines().any(|other| other == line), "{line}");
        }
        assert!(minimum() > Version::parse("1.0"));
    }
}
