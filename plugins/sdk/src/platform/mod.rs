//! The mount that the host provides. In plain `cargo test` it is a stand-in.

#[cfg(target_family = "wasm")]
mod wasm;
#[cfg(target_family = "wasm")]
pub(crate) use wasm::{Connection, Mount, Results, pump};

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{Asked, Connection, Mount, Reply, Results, Sent, stream};
