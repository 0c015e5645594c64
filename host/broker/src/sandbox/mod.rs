//! Sandboxes: a fresh one for every call.
//!
//! An [`Engine`] holds the pool that they are taken from; a [`Template`] is a plugin, compiled and
//! linked; [`run`] makes a sandbox of it, hands it one request, and ends it.

mod address_space;
mod bindings;
mod body_slot;
mod caller_state;
mod clocks;
mod compiled;
mod engine;
mod forwarding;
mod guest;
mod http_memory;
mod identity;
mod limits;
mod linker;
mod meter;
mod output;
mod read_ahead;
mod responder;
mod run;
mod sql;
mod state;
mod streamed_body;
mod template;

pub(crate) use address_space::{Reduced, fit};
pub(crate) use engine::{Engine, MOST_SANDBOXES};
pub(crate) use guest::Guest;
pub(crate) use read_ahead::ReadAhead;
pub(crate) use run::{PluginResponse, run};
pub use template::CompileEvent;
pub(crate) use template::{Template, Templates};
