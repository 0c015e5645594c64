//! Builds the hostile guests, and a list of them.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use keyward_componentize::Build;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=guests");
    println!("cargo::rerun-if-changed=../plugins/sdk");
    println!("cargo::rerun-if-changed=../plugins/Cargo.lock");
    println!("cargo::rerun-if-changed=../wit");
    keyward_componentize::exit_code(build())
}

fn build() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let mut list = String::from("&[");
    for component in Build::new("../plugins").examples_of("guests").run()? {
        let file = out.join(format!("{}.wasm", component.name));
        write!(list, "({:?}, include_bytes!({file:?}).as_slice()),", component.name)?;
        std::fs::write(file, component.bytes)?;
    }
    list.push(']');
    std::fs::write(out.join("guests.rs"), list)?;
    Ok(())
}
