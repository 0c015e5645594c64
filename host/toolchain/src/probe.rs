//! The proof that a compiler builds for the target, and its memory.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::TARGET;
use crate::compiler::Compiler;

/// Links the standard library.
const WITH_STD: &str = "#[unsafe(no_mangle)] pub extern \"C\" fn answer() -> u32 { 42 }\n";

/// Links nothing: the standard library would have to be compiled first, which takes half a minute.
const WITHOUT_CORE: &str = "#![feature(no_core)] #![no_core]\n";

/// Compiles crates of one line in a directory below a target directory.
pub(crate) struct Probe {
    directory: PathBuf,
}

impl Probe {
    pub(crate) fn new(target: &Path) -> Self {
        Self { directory: target.join("toolchain") }
    }

    /// Whether a compiler that has the target compiles for it; else what it prints.
    pub(crate) fn native(&self, compiler: &Compiler) -> Result<(), String> {
        self.once(compiler, "its own standard library", || self.compile(compiler, WITH_STD, |_| {}))
    }

    /// Whether a compiler without the target, with this linker, compiles for it.
    pub(crate) fn with_source(&self, compiler: &Compiler, linker: &Path) -> Result<(), String> {
        // A linker that was replaced is another one.
        let modified = std::fs::metadata(linker).and_then(|metadata| metadata.modified());
        let key = format!("{} of {modified:?}", linker.display());
        let compile = |command: &mut Command| {
            let mut option = std::ffi::OsString::from("linker=");
            option.push(linker);
            command.env("RUSTC_BOOTSTRAP", "1").args(["-C", "panic=abort", "-C"]).arg(option);
        };
        self.once(compiler, &key, || self.compile(compiler, WITHOUT_CORE, compile))
    }

    /// Runs the proof, unless the stamp says that it succeeded with this compiler and `key`.
    fn once(&self, compiler: &Compiler, key: &str, prove: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        let sysroot = compiler.sysroot.display();
        let expected = format!("{TARGET} by {sysroot} with {key}\n{}", compiler.description);
        let stamp = self.directory.join("proved");
        if std::fs::read_to_string(&stamp).is_ok_and(|text| text == expected) {
            return Ok(());
        }
        prove()?;
        // Without the stamp, the next build proves it again: nothing else is lost. It is renamed
        // into place, since build scripts run at the same time.
        let new = self.directory.join(format!("proved-{}", std::process::id()));
        let _ = std::fs::write(&new, expected).and_then(|()| std::fs::rename(&new, &stamp));
        Ok(())
    }

    fn compile(&self, compiler: &Compiler, source: &str, options: impl FnOnce(&mut Command)) -> Result<(), String> {
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
                Ok(_) => Err("what it wrote is not a WebAssembly module".to_owned()),
                Err(error) => Err(format!("it wrote no module: {error}")),
            }
        })();
        let _ = std::fs::remove_dir_all(&directory);
        result
    }
}
