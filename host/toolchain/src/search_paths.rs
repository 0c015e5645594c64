//! Where to search for compilers and linkers.

use std::ffi::OsString;
use std::path::PathBuf;

/// Where to search for compilers and linkers.
#[derive(Clone, Debug)]
pub struct SearchPaths {
    /// The compiler of the current build.
    pub rustc: PathBuf,
    /// The Cargo of the current build.
    pub cargo: PathBuf,
    /// Where Debian's packages are installed: `bin/rustc` and `bin/cargo` are below it.
    pub debian: PathBuf,
    /// Directories of programs, in the form of `PATH`.
    pub path: OsString,
}

impl SearchPaths {
    /// The paths of the environment. Cargo sets `RUSTC` and `CARGO` for build scripts; without
    /// them, `rustc` and `cargo` are searched in `PATH`.
    #[must_use]
    pub fn from_env() -> Self {
        let program = |variable, name: &str| {
            std::env::var_os(variable).map_or_else(|| PathBuf::from(name), PathBuf::from)
        };
        Self {
            rustc: program("RUSTC", "rustc"),
            cargo: program("CARGO", "cargo"),
            debian: PathBuf::from("/usr"),
            path: std::env::var_os("PATH").unwrap_or_default(),
        }
    }

    pub(crate) fn has_program(&self, name: &str) -> bool {
        let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        std::env::split_paths(&self.path).any(|directory| directory.join(&name).is_file())
    }

    /// LLVM's WebAssembly linkers in `path`: first the one of this LLVM, then newer before older.
    pub(crate) fn linkers(&self, llvm: Option<u32>) -> Vec<PathBuf> {
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
