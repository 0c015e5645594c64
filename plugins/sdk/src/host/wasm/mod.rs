//! The host through the component model.

mod fields;
mod incoming;
mod log;

pub(crate) use fields::Fields;
pub(crate) use incoming::{Incoming, stream_error};
pub(crate) use log::{log, log_panics};

/// The standard library's allocator, but a newer one: it begins with the heap that the linker was
/// told to make room for (`--initial-heap`), where the other grows memory at once.
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

/// Leaves a handle to the end of the call, when all that the sandbox holds is dropped at once. To
/// drop it here would be one more call to the host. For what there is one of, not for what a loop
/// makes.
pub(crate) fn leave<T>(handle: T) -> std::mem::ManuallyDrop<T> {
    std::mem::ManuallyDrop::new(handle)
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    bindings::wasi::clocks::wall_clock::now().seconds
}
