//! Builds a workspace of plugins to WebAssembly components, from a build script.
//!
//! A plugin is a `cdylib` for `wasm32-unknown-unknown` whose imports and exports are described by
//! `wit-bindgen`; this crate makes a component of it. The compiler that runs the build script need
//! not have that target: see [`Toolchain`].
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
//!     let build = keyward_componentize::Build::new("../../plugins").package("keyvault");
//!     for component in build.run()? {
//!         std::fs::write(out.join(format!("{}.wasm", component.name)), component.bytes)?;
//!     }
//!     Ok(())
//! }
//! ```

mod build;
mod command;
mod error;
mod exit_code;

pub use build::{Build, Component};
pub use error::Error;
pub use exit_code::exit_code;
pub use keyward_toolchain::Toolchain;
