//! Implementation with the host's component interfaces.

mod fields;
mod incoming;
mod log;
mod message;

pub(crate) use fields::Fields;
pub(crate) use incoming::{Incoming, stream_error};
pub(crate) use log::{log, log_panics};
pub(crate) use message::{Message, ResponseHandle};

/// A newer version of the standard library's allocator. It first uses the heap that the linker
/// reserved (`--initial-heap`), while the standard library's grows memory at once.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// The raw bindings of the world `plugin`, for what this crate does not wrap.
#[allow(missing_docs, unsafe_code, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "keyward:broker/plugin",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "keyward_plugin::bindings",
    });
}

/// Keeps a handle until the end of the call, when the whole sandbox is dropped at once, to save the
/// call to the host that would drop it. Not for handles that are created in a loop.
pub(crate) fn leave<T>(handle: T) -> std::mem::ManuallyDrop<T> {
    std::mem::ManuallyDrop::new(handle)
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    bindings::wasi::clocks::wall_clock::now().seconds
}
