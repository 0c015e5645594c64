//! Primitives of the host that the crate's types wrap: header fields, incoming streams, the clock
//! and the log. Native builds have them in memory.

#[cfg(target_family = "wasm")]
mod wasm;
#[cfg(target_family = "wasm")]
pub use wasm::bindings;
#[cfg(target_family = "wasm")]
pub(crate) use wasm::{
    Fields, Incoming, Message, ResponseHandle, leave, log, log_panics, now, stream_error,
};

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{Fields, Incoming, log, now};
