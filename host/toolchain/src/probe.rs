//! Test compilations for the target, and the record of the last one that succeeded.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::compiler::{Compiler, TARGET};

/// Links the standard library.
const WITH_STD: &str = "#[unsafe(no_mangle)] pub extern \"C\" fn answer() -> u32 { 42 }\n";

/// Links nothing: compiling the standard library first takes half a minute.
const WITHOUT_CORE: &str = "#![feature(no_core)] #![no_core]\n";

/// Compiles crates of one line in a directory below a target directory.
pub(crate) struct Probe {
    directory: PathBuf,
}

impl Probe {
    pub(crate) fn new(target: &Path) -> Self {
        Self { directory: target.join("toolchain") }
    }

    /// Checks that a compiler with the target compiles for it; otherwise returns its output.
    pub(crate) fn native(&self, compiler: &Compiler) -> Result<(), String> {
        self.check_once(compiler, "its own standard library", || {
            self.compile(compiler, WITH_STD, |_| {})
        })
    }

    /// Checks that a compiler without the target compiles for it, with this linker.
    pub(crate) fn with_source(&self, compiler: &Compiler, linker: &Path) -> Result<(), String> {
        // A linker that was replaced is checked again.
        let modified = std::fs::metadata(linker).and_then(|metadata| metadata.modified());
        let key = format!("{} of {modified:?}", linker.display());
        let compile = |command: &mut Command| {
            let mut option = std::ffi::OsString::from("linker=");
            option.push(linker);
            command.env("RUSTC_BOOTSTRAP", "1").args(["-C", "panic=abort", "-C"]).arg(option);
        };
        self.check_once(compiler, &key, || self.compile(compiler, WITHOUT_CORE, compile))
    }

    /// Runs a check, unless the stamp says that it succeeded with this compiler and `key`.
    fn check_once(
        &self,
        compiler: &Compiler,
        key: &str,
        check: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        let sysroot = compiler.sysroot.display();
        let expected = format!("{TARGET} by {sysroot} with {key}\n{}", compiler.description);
        let stamp = self.directory.join("checked");
        if std::fs::read_to_string(&stamp).is_ok_and(|text| text == expected) {
            return Ok(());
        }
        check()?;
        // Without the stamp the next build checks again, so a failure is ignored. The stamp is
        // renamed into place, since build scripts run concurrently.
        let new = self.directory.join(format!("checked-{}", std::process::id()));
        let _ = std::fs::write(&new, expected).and_then(|()| std::fs::rename(&new, &stamp));
        Ok(())
    }

    fn compile(
        &self,
        compiler: &Compiler,
        source: &str,
        options: impl FnOnce(&mut Command),
    ) -> Result<(), String> {
        let directory = self.directory.join(format!("probe-{}", std::process::id()));
        let result = (|| {
            let [file, module] = ["probe.rs", "probe.wasm"].map(|name| directory.join(name));
            std::fs::create_dir_all(&directory)
                .and_then(|()| std::fs::write(&file, source))
                .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
            let mut command = Command::new(&compiler.rustc);
            command.env_remove("RUSTC_BOOTSTRAP");
            command.args(["--edition", "2024", "--crate-type", "cdylib", "--target", TARGET]);
            options(&mut command);
            let output = command.arg("-o").arg(&module).arg(&file).output();
            let output = output.map_err(|error| error.to_string())?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
            }
            match std::fs::read(&module) {
                Ok(bytes) if bytes.starts_with(b"\0asm") => Ok(()),
                Ok(_) => Err("its output is not a WebAssembly module".to_owned()),
                Err(error) => Err(format!("it wrote no module: {error}")),
            }
        })();
        let _ = std::fs::remove_dir_all(&directory);
        result
    }
}
