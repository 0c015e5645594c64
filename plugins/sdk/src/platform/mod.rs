//! The mount that the host provides. Native builds have a mock.

#[cfg(target_family = "wasm")]
mod wasm;
#[cfg(target_family = "wasm")]
pub(crate) use wasm::{Connection, Mount, Results, host_body, pump};

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{Connection, DatabaseRequest, Mount, Reply, Results, Sent, stream};
