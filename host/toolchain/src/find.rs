//! Which compiler is chosen, in which order.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::compiler::{Compiler, output};
use crate::error::{Finding, Missing, Reason};
use crate::probe::Probe;
use crate::{Version, minimum};

/// Where to look for compilers and linkers.
#[derive(Clone, Debug)]
pub struct Places {
    /// The compiler of the build at hand.
    pub rustc: PathBuf,
    /// The Cargo of the build at hand.
    pub cargo: PathBuf,
    /// Where Debian's packages are installed: `bin/rustc` and `bin/cargo` are below it.
    pub debian: PathBuf,
    /// Directories of programs, in the form of `PATH`.
    pub path: OsString,
}

impl Places {
    /// What a build script sees: Cargo sets `RUSTC` and `CARGO` for it. Elsewhere `PATH` decides.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let program =
            |variable, name: &str| std::env::var_os(variable).map_or_else(|| PathBuf::from(name), PathBuf::from);
        Self {
            rustc: program("RUSTC", "rustc"),
            cargo: program("CARGO", "cargo"),
            debian: PathBuf::from("/usr"),
            path: std::env::var_os("PATH").unwrap_or_default(),
        }
    }

    fn has_program(&self, name: &str) -> bool {
        let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        std::env::split_paths(&self.path).any(|directory| directory.join(&name).is_file())
    }

    /// LLVM's WebAssembly linkers in the path: first the one of this LLVM, then newer before older.
    fn linkers(&self, llvm: Option<u32>) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for directory in std::env::split_paths(&self.path) {
            for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let name = name.to_str().unwrap_or_default();
                let name = name.strip_suffix(std::env::consts::EXE_SUFFIX).unwrap_or(name);
                let version = match name.strip_prefix("wasm-ld-") {
                    Some(version) => version.parse().ok(),
                    None => ["wasm-ld", "rust-lld"].contains(&name).then_some(u32::MAX),
                };
                if let Some(version) = version {
                    found.push((Some(version) != llvm, u32::MAX - version, entry.path()));
                }
            }
        }
        found.sort();
        found.into_iter().map(|(_, _, path)| path).collect()
    }
}

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
    /// Debian's `rustc-web` with the source of the standard library, which is built along with the
    /// plugins. That needs `RUSTC_BOOTSTRAP`, and a linker for WebAssembly from elsewhere.
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
    /// Finds a compiler: first the one of the build at hand, then Debian's.
    ///
    /// The proof that it compiles is kept in `target`, a target directory of Cargo's. Nothing is
    /// written elsewhere.
    ///
    /// # Errors
    ///
    /// [`Missing`], with what was found and the command that helps.
    pub fn find(places: &Places, target: &Path) -> Result<Self, Missing> {
        let probe = Probe::new(target);
        let mut findings = Vec::new();
        let mut linkers = Vec::new();

        let at_hand = Compiler::ask(&places.rustc);
        if let Some(compiler) = &at_hand {
            linkers.extend(compiler.linkers());
        }
        match native(&places.rustc, at_hand.as_ref(), places.cargo.clone(), &probe) {
            Ok(toolchain) => return Ok(toolchain),
            Err(finding) => findings.push(finding),
        }

        let (rustc, cargo) = (places.debian.join("bin/rustc"), places.debian.join("bin/cargo"));
        let debian = Compiler::ask(&rustc);
        // A machine with Debian's compiler alone has it in its path: it is reported once.
        if let (Some(one), Some(other)) = (&at_hand, &debian)
            && one.sysroot == other.sysroot
        {
            findings.clear();
        }
        let finding = match native(&rustc, debian.as_ref(), cargo.clone(), &probe) {
            Ok(toolchain) => return Ok(toolchain),
            Err(finding) => finding,
        };
        let (Some(compiler), Reason::NoTarget) = (debian, &finding.reason) else {
            // Other systems than Debian have no use for the advice to look there.
            if finding.reason != Reason::Absent || places.has_program("apt-get") {
                findings.push(finding);
            }
            return Err(Missing::new(findings, places));
        };
        linkers.extend(compiler.linkers());
        linkers.extend(places.linkers(compiler.llvm));
        linkers.retain(|linker| linker.is_file());
        with_source(&compiler, cargo, linkers, &probe).map_err(|reason| {
            findings.push(Finding { reason, ..finding });
            Missing::new(findings, places)
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

impl Missing {
    fn new(findings: Vec<Finding>, places: &Places) -> Self {
        let [rustup, apt] = ["rustup", "apt-get"].map(|program| places.has_program(program));
        Self { findings, rustup, apt }
    }
}

/// A compiler with the target's standard library.
fn native(rustc: &Path, compiler: Option<&Compiler>, cargo: PathBuf, probe: &Probe) -> Result<Toolchain, Finding> {
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
        // A name without a directory would not say which one it is.
        Some(compiler) if rustc.components().count() == 1 => compiler.sysroot.join("bin").join(rustc),
        Some(_) | None => rustc.to_owned(),
    };
    Err(Finding { rustc, version, reason })
}

/// Debian's compiler with the source of the standard library, and the first linker that works.
fn with_source(compiler: &Compiler, cargo: PathBuf, linkers: Vec<PathBuf>, probe: &Probe) -> Result<Toolchain, Reason> {
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
            Err(message) => reason = Reason::Fails(format!("linker: {}\n{message}", linker.display())),
        }
    }
    Err(reason)
}
