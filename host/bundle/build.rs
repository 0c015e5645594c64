//! Builds the plugins in `plugins/` and leaves their components where `src/lib.rs` embeds them.

use std::path::PathBuf;
use std::process::ExitCode;

use keyward_componentize::Build;

const PLUGINS: [&str; 6] = ["adls", "arm", "keyvault", "sql", "storage", "thief"];

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=../../plugins");
    println!("cargo::rerun-if-changed=../../examples/thief");
    println!("cargo::rerun-if-changed=../../wit");
    keyward_componentize::exit_code(build())
}

fn build() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let build = PLUGINS.iter().fold(Build::new("../../plugins"), |build, name| build.package(*name));
    for component in build.run()? {
        std::fs::write(out.join(format!("{}.wasm", component.name)), component.bytes)?;
    }
    Ok(())
}
