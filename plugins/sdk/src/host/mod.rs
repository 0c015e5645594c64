//! The parts of the host that the crate's types are made of: header fields, incoming streams, the
//! clock and the log. In plain `cargo test` they are in memory.

#[cfg(target_family = "wasm")]
mod wasm;
#[cfg(target_family = "wasm")]
pub use wasm::bindings;
#[cfg(target_family = "wasm")]
pub(crate) use wasm::{Fields, Incoming, leave, log, log_panics, now, stream_error};

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{Fields, Incoming, log, now};
