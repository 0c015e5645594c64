//! Why no compiler builds plugins, and what to install.

use std::fmt;
use std::path::PathBuf;

use crate::compiler::{TARGET, Version, minimum};

/// No compiler on this machine builds plugins.
///
/// The message lists what was found and what is needed, and its help the commands that install it.
#[derive(Debug)]
pub struct ToolchainNotFound {
    /// The compilers that were checked, and what each lacks.
    pub findings: Vec<Finding>,
    /// Whether rustup is installed.
    pub(crate) rustup: bool,
    /// Whether this system installs packages with apt-get.
    pub(crate) apt: bool,
}

/// A compiler that was checked.
#[derive(Debug)]
pub struct Finding {
    /// The compiler.
    pub rustc: PathBuf,
    /// Its version, if it runs.
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
    /// It has no standard library for [`TARGET`], and is not used to build one.
    NoTarget,
    /// There is no Cargo for it, or one that is older than [`minimum`].
    NoCargo,
    /// The standard library's source is not installed.
    NoSource,
    /// The standard library's source is of another version.
    OtherSource(Version),
    /// No linker for WebAssembly was found. The number is the major version of the compiler's LLVM,
    /// whose linker is the best choice.
    NoLinker(Option<u32>),
    /// It failed to compile a crate of one line. The text is what it printed.
    Fails(String),
}

impl ToolchainNotFound {
    /// Whether only a linker is missing, and of which LLVM.
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

    /// The commands that install what is missing; one of them suffices.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        let rustup = format!("rustup target add {TARGET}");
        let apt = format!("apt-get update && apt-get install {}    (as root)", self.packages());
        let install_rustup = format!("install Rust from https://rustup.rs, then: {rustup}");
        match (self.rustup, self.apt) {
            (true, false) => vec![rustup],
            (true, true) => vec![rustup, apt],
            (false, false) => vec![install_rustup],
            (false, true) => vec![apt, install_rustup],
        }
    }

    /// The missing packages of Debian.
    fn packages(&self) -> String {
        match self.lacks_only_a_linker() {
            Some(Some(llvm)) => format!("lld-{llvm}"),
            Some(None) => "lld".to_owned(),
            None => "rustc-web cargo-web rust-web-src lld".to_owned(),
        }
    }
}

impl fmt::Display for ToolchainNotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "no Rust compiler on this machine builds Keyward's plugins")?;
        for finding in &self.findings {
            writeln!(f, "  found:  {finding}")?;
        }
        write!(f, "  needed: Rust {} or newer that compiles to {TARGET}", minimum())?;
        for (label, help) in ["\n  help:   ", "\n      or: "].iter().zip(self.help()) {
            write!(f, "{label}{help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ToolchainNotFound {}

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
            Self::NoCargo => write!(f, "without a Cargo of this version (Debian: cargo-web)"),
            Self::NoSource => {
                write!(f, "without the standard library's source (Debian: rust-web-src)")
            }
            Self::OtherSource(version) => {
                write!(f, "but the standard library's source is {version} (Debian: rust-web-src)")
            }
            Self::NoLinker(_) => {
                write!(f, "without a linker for WebAssembly (rust-lld or wasm-ld)")
            }
            Self::Fails(message) => {
                write!(f, "but it does not compile a crate of one line:")?;
                message.lines().try_for_each(|line| write!(f, "\n            {line}"))
            }
        }
    }
}
