//! Finds a Rust compiler that builds Keyward's plugins, and checks that it does.
//!
//! Plugins are built for `wasm32-unknown-unknown`. The compiler that builds the host need not have
//! that target, so [`Toolchain::find`] checks it first, then Debian's. A compiler is accepted only
//! after it has compiled and linked a crate of one line, which takes less than a second; the result
//! is stored in the target directory until the compiler or the linker changes.
//!
//! Two callers share this choice: the build scripts, through `keyward-componentize`, and
//! `scripts/setup`, through the program of this package. The crate uses the standard library only,
//! so that `scripts/setup` can build it without Cargo before anything else is compiled.
//!
//! Nothing here installs anything or asks rustup for a target: either may download.

mod compiler;
mod error;
mod probe;
mod search_paths;
mod toolchain;

pub use compiler::{TARGET, Version, minimum};
pub use error::{Finding, Reason, ToolchainNotFound};
pub use search_paths::SearchPaths;
pub use toolchain::Toolchain;
