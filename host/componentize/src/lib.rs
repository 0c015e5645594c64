//! Builds a workspace of plugins to WebAssembly components, from a build script.
//!
//! A plugin is a `cdylib` for `wasm32-unknown-unknown` whose imports and exports `wit-bindgen` described; a component is
//! made of it here. The compiler that runs the build script need not have that target: see [`Toolchain`].
//!
//! All files are written below a `target` directory: in a build script that of the outer build,
//! elsewhere the workspace's own.
//!
//! ```no_run
//! // build.rs
//! fn main() -> std::process::ExitCode {
//!     keyward_componentize::exit_code(build())
//! }
//!
//! fn build() -> Result<(), Box<dyn std::error::Error>> {
//!     let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
//!     for component in keyward_componentize::Build::new("../../plugins").package("keyvault").run()? {
//!         std::fs::write(out.join(format!("{}.wasm", component.name)), component.bytes)?;
//!     }
//!     Ok(())
//! }
//! ```

mod build;
mod command;

pub use build::{Build, Component};
pub use keyward_toolchain::Toolchain;

use std::path::PathBuf;
use std::process::ExitCode;

/// Ends a build script: Cargo shows each line of an error as one of its own.
pub fn exit_code(result: Result<(), Box<dyn std::error::Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.to_string().lines() {
                // Build scripts talk to Cargo on standard output.
                #[allow(clippy::print_stdout)]
                {
                    println!("cargo::error={line}");
                }
            }
            ExitCode::FAILURE
        }
    }
}

/// Why there are no components.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No compiler on this machine builds plugins.
    #[error(transparent)]
    NoToolchain(#[from] keyward_toolchain::Missing),
    /// Cargo did not say where the workspace's target directory is. Its messages are on standard
    /// error.
    #[error("{workspace} is not a Cargo workspace; Cargo's messages are above")]
    NoWorkspace {
        /// The directory.
        workspace: PathBuf,
    },
    /// A program could not be started.
    #[error("cannot run {program}: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The compiler failed. Its messages are on standard error.
    #[error("the plugins in {workspace} do not compile; the compiler's messages are above")]
    Compile {
        /// The workspace.
        workspace: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A module is no component in the making: it was not built with `wit-bindgen`, or for another world.
    #[error("{name} cannot be made a component: {why}")]
    Encode {
        /// The library's name.
        name: String,
        /// What is wrong, from `wit-component`.
        why: String,
    },
    /// A package that was asked for gave no library for WebAssembly.
    #[error("package {package} has no library of crate-type \"cdylib\"")]
    NoLibrary {
        /// The package.
        package: String,
    },
}
