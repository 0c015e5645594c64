//! The component model's side: what the host's WASI gives, in this crate's types.

mod fields;
mod incoming;
mod log;
mod mount;
mod pump;
mod serve;

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

pub(crate) use fields::Fields;
pub(crate) use incoming::Incoming;
pub(crate) use log::log;
pub(crate) use mount::Mount;
pub use serve::serve;
