//! Builds the plugins in `plugins/`, and writes the list of them that `src/lib.rs` includes.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use keyward_componentize::Build;

/// The plugins that a configuration may name, in alphabetical order.
const PLUGINS: [&str; 5] = ["adls", "arm", "keyvault", "sql", "storage"];

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=../../plugins");
    println!("cargo::rerun-if-changed=../../examples/thief");
    println!("cargo::rerun-if-changed=../../wit");
    keyward_componentize::exit_code(build())
}

fn build() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let thief = std::env::var_os("CARGO_FEATURE_THIEF").map(|_| "thief");
    let packages = PLUGINS.into_iter().chain(thief);
    for component in packages.fold(Build::new("../../plugins"), Build::package).run()? {
        fs::write(out.join(format!("{}.wasm", component.name)), component.bytes)?;
    }
    list(&out)
}

/// Writes the definition of `PLUGINS`.
fn list(out: &Path) -> Result<(), Box<dyn Error>> {
    let mut list = String::from("&[");
    for name in PLUGINS {
        let component = out.join(format!("{name}.wasm"));
        write!(list, "Bundled {{ name: {name:?}, component: include_bytes!({component:?}) }},")?;
    }
    list.push(']');
    Ok(fs::write(out.join("plugins.rs"), list)?)
}
