//! Why there are no components.

use std::path::PathBuf;

use keyward_toolchain::ToolchainNotFound;

/// Why there are no components.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No compiler on this machine builds plugins.
    #[error(transparent)]
    NoToolchain(#[from] ToolchainNotFound),
    /// Cargo did not print the workspace's target directory. Its messages are on standard error.
    #[error("{workspace} is not a Cargo workspace; Cargo's messages are above")]
    NoWorkspace {
        /// The directory.
        workspace: PathBuf,
    },
    /// A program could not be started.
    #[error("cannot run {program}")]
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
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A module cannot be made a component. Likely causes: it was not built with `wit-bindgen`, or
    /// with bindings of another world.
    #[error("{name} cannot be made a component: {reason}")]
    Encode {
        /// The library's name.
        name: String,
        /// The message of `wit-component`.
        reason: String,
    },
    /// A requested package has no library for WebAssembly.
    #[error("package {package} has no library of crate-type \"cdylib\"")]
    NoLibrary {
        /// The package.
        package: String,
    },
}
