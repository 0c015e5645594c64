//! A simulated machine in a temporary directory: compilers and linkers are shell scripts.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use keyward_toolchain::{SearchPaths, Toolchain, ToolchainNotFound};
use tempfile::TempDir;

/// The part of a compiler's script that compiles for WebAssembly. `$out` and `$linker` are set.
pub(crate) const COMPILES: &str = r#"printf '\0asm\1\0\0\0' >"$out""#;
/// The same for Debian's compiler, which lets the linker write the module.
pub(crate) const LINKS: &str = r#""$linker" "$out""#;

/// The variable with the real compiler, for other targets.
pub(crate) const REAL_RUSTC: &str = "TEST_REAL_RUSTC";

/// A machine that has only what the test adds.
pub(crate) struct Machine {
    directory: TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let machine = Self { directory: tempfile::tempdir().unwrap() };
        for directory in ["bin", "usr/bin", "work"] {
            std::fs::create_dir_all(machine.at(directory)).unwrap();
        }
        machine
    }

    /// A path on this machine.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Adds a program, a shell script without its first line.
    pub(crate) fn program(&self, path: &str, script: &str) {
        // Renamed into place: a script that another process still has open for writing, between
        // a fork and an exec, cannot be started.
        self.write("work/new", &format!("#!/bin/sh\n{script}\n"));
        let new = self.at("work/new");
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(new, self.at(path)).unwrap();
    }

    /// Adds a compiler, with the part that compiles. It logs each compilation in `compiled`.
    pub(crate) fn rustc(&self, path: &str, sysroot: &str, version: &str, compile: &str) {
        let paths = [self.at(sysroot), self.at("compiled")];
        let [sysroot, log] = paths.map(|path| path.display().to_string());
        self.program(
            path,
            &format!(
                r#"
case "$*" in
-vV) printf 'rustc {version}\nrelease: {version}\nLLVM version: 22.1.8\n'; exit ;;
"--print sysroot") echo {sysroot}; exit ;;
*wasm32-unknown-unknown*) ;;
*) exec "${REAL_RUSTC}" "$@" ;;
esac
echo "$0" >>{log}
while [ $# -gt 0 ]; do
    case $1 in
    -o) out=$2 ;;
    linker=*) linker=${{1#linker=}} ;;
    esac
    shift
done
{compile}"#
            ),
        );
    }

    /// Adds the compiler of the current build, with or without the target.
    pub(crate) fn current(&self, version: &str, target: bool, compile: &str) {
        self.rustc("bin/rustc", "rust", version, compile);
        self.program("bin/cargo", &format!("echo cargo {version}"));
        if target {
            let library = "rust/lib/rustlib/wasm32-unknown-unknown/lib";
            std::fs::create_dir_all(self.at(library)).unwrap();
        }
    }

    /// Adds Debian's compiler, with the source of the standard library.
    pub(crate) fn debian(&self, version: &str) {
        self.rustc("usr/bin/rustc", "usr", version, LINKS);
        self.program("usr/bin/cargo", &format!("echo 'cargo {version} (Debian)'"));
        self.write("usr/lib/rustlib/src/rust/library/std/Cargo.toml", "");
        self.write("usr/lib/rustlib/src/rust/src/version", version);
    }

    /// Adds a linker that works.
    pub(crate) fn linker(&self, path: &str) {
        std::fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        self.program(path, r#"printf '\0asm\1\0\0\0' >"$1""#);
    }

    pub(crate) fn search_paths(&self) -> SearchPaths {
        SearchPaths {
            rustc: self.at("bin/rustc"),
            cargo: self.at("bin/cargo"),
            debian: self.at("usr"),
            path: self.at("bin").into_os_string(),
        }
    }

    pub(crate) fn find(&self) -> Result<Toolchain, ToolchainNotFound> {
        Toolchain::find(&self.search_paths(), &self.at("target"))
    }

    /// The number of compilations since the last call.
    pub(crate) fn compilations(&self) -> usize {
        let log = std::fs::read_to_string(self.at("compiled")).unwrap_or_default();
        let _ = std::fs::remove_file(self.at("compiled"));
        log.lines().count()
    }

    /// All files, sorted.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut directories = vec![self.directory.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { directories.push(path) } else { found.push(path) }
            }
        }
        found.sort();
        found
    }
}
