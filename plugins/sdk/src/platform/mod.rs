//! Where the crate meets its host: the component model in a sandbox, a stand-in in plain `cargo test`.

#[cfg(target_family = "wasm")]
mod wasm;
#[cfg(target_family = "wasm")]
pub(crate) use wasm::{Connection, Fields, Incoming, Mount, Results, log, now};
#[cfg(target_family = "wasm")]
pub use wasm::{bindings, serve};

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{Asked, Connection, Fields, Incoming, Mount, Reply, Results, Sent, log, now, stream};
