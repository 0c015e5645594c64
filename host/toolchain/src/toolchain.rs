//! The choice of a compiler.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::compiler::{Compiler, Version, minimum, output};
use crate::error::{Finding, Reason, ToolchainNotFound};
use crate::probe::Probe;
use crate::search_paths::SearchPaths;

/// A compiler that builds plugins, and how to call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The compiler has the target's standard library.
    Native {
        /// `cargo`.
        cargo: PathBuf,
        /// `rustc`.
        rustc: PathBuf,
    },
    /// Debian's `rustc-web` with the source of the standard library, which is built with the
    /// plugins. That needs `RUSTC_BOOTSTRAP`, and a linker for WebAssembly from another package.
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
    /// Finds a compiler: first the one of the current build, then Debian's.
    ///
    /// The record of the check is stored in `target`, a target directory of Cargo's. Nothing is
    /// written elsewhere.
    ///
    /// # Errors
    ///
    /// [`ToolchainNotFound`], with what was found and what to install.
    pub fn find(paths: &SearchPaths, target: &Path) -> Result<Self, ToolchainNotFound> {
        let probe = Probe::new(target);
        let mut findings = Vec::new();
        let mut linkers = Vec::new();

        let current = Compiler::query(&paths.rustc);
        if let Some(compiler) = &current {
            linkers.extend(compiler.linkers());
        }
        match native(&paths.rustc, current.as_ref(), paths.cargo.clone(), &probe) {
            Ok(toolchain) => return Ok(toolchain),
            Err(finding) => findings.push(finding),
        }

        let (rustc, cargo) = (paths.debian.join("bin/rustc"), paths.debian.join("bin/cargo"));
        let debian = Compiler::query(&rustc);
        // On a machine that has only Debian's compiler it is also the current one.
        if let (Some(one), Some(other)) = (&current, &debian)
            && one.sysroot == other.sysroot
        {
            findings.clear();
        }
        let finding = match native(&rustc, debian.as_ref(), cargo.clone(), &probe) {
            Ok(toolchain) => return Ok(toolchain),
            Err(finding) => finding,
        };
        let (Some(compiler), Reason::NoTarget) = (debian, &finding.reason) else {
            // On systems without Debian's packages its absence is not worth a line.
            if finding.reason != Reason::Absent || paths.has_program("apt-get") {
                findings.push(finding);
            }
            return Err(ToolchainNotFound::new(findings, paths));
        };
        linkers.extend(compiler.linkers());
        linkers.extend(paths.linkers(compiler.llvm));
        linkers.retain(|linker| linker.is_file());
        with_source(&compiler, cargo, linkers, &probe).map_err(|reason| {
            findings.push(Finding { reason, ..finding });
            ToolchainNotFound::new(findings, paths)
        })
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native { rustc, .. } => write!(f, "compiled by {}", rustc.display()),
            Self::DebianWeb { rustc, linker, .. } => {
                let (rustc, linker) = (rustc.display(), linker.display());
                write!(f, "compiled by {rustc} with its standard library, linked by {linker}")
            }
        }
    }
}

impl ToolchainNotFound {
    fn new(findings: Vec<Finding>, paths: &SearchPaths) -> Self {
        let [rustup, apt] = ["rustup", "apt-get"].map(|program| paths.has_program(program));
        Self { findings, rustup, apt }
    }
}

/// A compiler with the target's standard library.
fn native(
    rustc: &Path,
    compiler: Option<&Compiler>,
    cargo: PathBuf,
    probe: &Probe,
) -> Result<Toolchain, Finding> {
    let reason = match compiler {
        None => Reason::Absent,
        Some(compiler) if compiler.version < minimum() => Reason::TooOld,
        Some(compiler) if !compiler.has_target() => Reason::NoTarget,
        Some(compiler) => match probe.native(compiler) {
            Ok(()) => return Ok(Toolchain::Native { cargo, rustc: compiler.rustc.clone() }),
            Err(message) => Reason::Fails(message),
        },
    };
    let version = compiler.map(|compiler| compiler.version);
    let rustc = match compiler {
        // A name without a directory does not identify the compiler.
        Some(compiler) if rustc.components().count() == 1 => {
            compiler.sysroot.join("bin").join(rustc)
        }
        Some(_) | None => rustc.to_owned(),
    };
    Err(Finding { rustc, version, reason })
}

/// Debian's compiler with the source of the standard library, and the first linker that works.
fn with_source(
    compiler: &Compiler,
    cargo: PathBuf,
    linkers: Vec<PathBuf>,
    probe: &Probe,
) -> Result<Toolchain, Reason> {
    let cargo_version = output(Command::new(&cargo).arg("--version"));
    let cargo_version = cargo_version.as_deref().and_then(|text| text.split(' ').nth(1));
    if cargo_version.is_none_or(|version| Version::parse(version) < minimum()) {
        return Err(Reason::NoCargo);
    }
    let source = compiler.source();
    if !source.join("library/std/Cargo.toml").is_file() {
        return Err(Reason::NoSource);
    }
    if let Ok(version) = std::fs::read_to_string(source.join("src/version")) {
        let version = Version::parse(&version);
        if version != compiler.version {
            return Err(Reason::OtherSource(version));
        }
    }
    let mut reason = Reason::NoLinker(compiler.llvm);
    for linker in linkers {
        match probe.with_source(compiler, &linker) {
            Ok(()) => {
                return Ok(Toolchain::DebianWeb { cargo, rustc: compiler.rustc.clone(), linker });
            }
            Err(message) => {
                reason = Reason::Fails(format!("linker: {}\n{message}", linker.display()));
            }
        }
    }
    Err(reason)
}
