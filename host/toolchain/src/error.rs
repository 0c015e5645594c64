//! Why no compiler builds plugins, and which command helps.

use std::fmt;
use std::path::PathBuf;

use crate::{TARGET, Version, minimum};

/// No compiler on this machine builds plugins.
///
/// Its text says what was found, what is needed, and which command installs it.
#[derive(Debug)]
pub struct Missing {
    /// The compilers that were looked at, and what each lacks.
    pub findings: Vec<Finding>,
    /// Whether rustup is installed.
    pub(crate) rustup: bool,
    /// Whether this system installs packages with apt-get.
    pub(crate) apt: bool,
}

/// A compiler that was looked at.
#[derive(Debug)]
pub struct Finding {
    /// The compiler.
    pub rustc: PathBuf,
    /// Its version, where it runs.
    pub version: Option<Version>,
    /// What it lacks.
    pub reason: Reason,
}

/// What a compiler lacks.
#[derive(Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is not installed, or does not run.
    Absent,
    /// It is older than [`minimum`].
    TooOld,
    /// It has no standard library for [`TARGET`], and would not be used to build one.
    NoTarget,
    /// There is no Cargo beside it, or an older one than [`minimum`].
    NoCargo,
    /// The standard library's source is not installed.
    NoSource,
    /// The standard library's source is of another version.
    OtherSource(Version),
    /// No linker for WebAssembly was found. The number is the major version of the compiler's LLVM,
    /// whose linker fits best.
    NoLinker(Option<u32>),
    /// It failed to compile a crate of one line. The text is what it printed.
    Fails(String),
}

impl Missing {
    /// Whether a linker is all that is missing, and of which LLVM.
    #[must_use]
    pub fn lacks_only_a_linker(&self) -> Option<Option<u32>> {
        self.findings.iter().find_map(|finding| match &finding.reason {
            Reason::NoLinker(llvm) => Some(*llvm),
            Reason::Absent
            | Reason::TooOld
            | Reason::NoTarget
            | Reason::NoCargo
            | Reason::NoSource
            | Reason::OtherSource(_)
            | Reason::Fails(_) => None,
        })
    }

    /// Debian's packages that are missing.
    fn packages(&self) -> String {
        match self.lacks_only_a_linker() {
            Some(Some(llvm)) => format!("lld-{llvm}"),
            Some(None) => "lld".to_owned(),
            None => "rustc-web cargo-web rust-web-src lld".to_owned(),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "no Rust compiler on this machine builds Keyward's plugins")?;
        for finding in &self.findings {
            writeln!(f, "  found:  {finding}")?;
        }
        let minimum = minimum();
        writeln!(f, "  needed: Rust {minimum} or newer that compiles to {TARGET}")?;
        let rustup = format!("rustup target add {TARGET}");
        let from_rustup = format!("install Rust from https://rustup.rs, then: {rustup}");
        let apt = format!("apt-get update && apt-get install {}    (as root)", self.packages());
        match (self.rustup, self.apt) {
            (true, false) => write!(f, "  help:   {rustup}"),
            (true, true) => write!(f, "  help:   {rustup}\n      or: {apt}"),
            (false, false) => write!(f, "  help:   {from_rustup}"),
            (false, true) => write!(f, "  help:   {apt}\n      or: {from_rustup}"),
        }
    }
}

impl std::error::Error for Missing {}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.rustc.display())?;
        if let Some(version) = self.version {
            write!(f, "Rust {version}, ")?;
        }
        write!(f, "{}", self.reason)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => write!(f, "not installed, or does not run"),
            Self::TooOld => write!(f, "too old"),
            Self::NoTarget => write!(f, "without {TARGET}"),
            Self::NoCargo => write!(f, "without a Cargo of the same age (Debian: cargo-web)"),
            Self::NoSource => {
                write!(f, "without the standard library's source (Debian: rust-web-src)")
            }
            Self::OtherSource(version) => {
                write!(f, "but the standard library's source is of {version} (Debian: rust-web-src)")
            }
            Self::NoLinker(_) => write!(f, "without a linker for WebAssembly (rust-lld or wasm-ld)"),
            Self::Fails(message) => {
                write!(f, "but it does not compile a crate of one line:")?;
                message.lines().try_for_each(|line| write!(f, "\n            {line}"))
            }
        }
    }
}
