//! Finds a Rust compiler that builds Keyward's plugins, and proves that it does.
//!
//! Plugins are built for `wasm32-unknown-unknown`. The compiler that builds the host need not have
//! that target, so [`Toolchain::find`] looks at it first, then at Debian's. A compiler is accepted
//! only after it has compiled and linked a crate of one line, which takes less than a second; the
//! proof is remembered in the target directory until the compiler or the linker changes.
//!
//! Two callers share this choice: the build scripts, through `keyward-componentize`, and
//! `scripts/setup`, through the program of this package. The crate uses the standard library only,
//! so that `scripts/setup` can build it without Cargo before anything else is compiled.
//!
//! Nothing here installs anything or asks rustup for a target: either may download.

mod compiler;
mod error;
mod find;
mod probe;

pub use compiler::Version;
pub use error::{Finding, Missing, Reason};
pub use find::{Places, Toolchain};

/// The target of plugins. It has no operating system, so a plugin imports only what its world has.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The oldest Rust version that compiles the plugins: the workspace's `rust-version`.
#[must_use]
pub fn minimum() -> Version {
    Version::parse(env!("CARGO_PKG_RUST_VERSION"))
}
