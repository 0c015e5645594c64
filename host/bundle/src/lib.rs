//! Keyward's first-party plugins, as components that are ready to load.
//!
//! They are built from `plugins/` when this crate is built, and embedded. A configuration names
//! them: `plugin = "keyvault"`.
//!
//! The feature `thief` adds the demo's hostile plugin.

/// A bundled plugin.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Bundled {
    /// Its name in a configuration.
    pub name: &'static str,
    /// The component.
    pub component: &'static [u8],
}

/// All plugins that a configuration may name, in alphabetical order. The list is in `build.rs`.
pub static PLUGINS: &[Bundled] = include!(concat!(env!("OUT_DIR"), "/plugins.rs"));

/// The demo's plugin that tries to steal a token. No configuration can name it.
#[cfg(feature = "thief")]
pub static THIEF: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/thief.wasm"));

/// The plugin of this name.
#[must_use]
pub fn plugin(name: &str) -> Option<&'static Bundled> {
    PLUGINS.iter().find(|plugin| plugin.name == name)
}
