//! Header fields, held by the host.

use super::bindings::wasi::http::types;

/// A handle on the host's fields. Those that came from outside are immutable: the first change
/// makes a copy, over there.
#[derive(Debug)]
pub(crate) struct Fields {
    handle: types::Fields,
    own: bool,
}

impl Default for Fields {
    fn default() -> Self {
        Self { handle: types::Fields::new(), own: true }
    }
}

impl Fields {
    /// Fields that belong to an incoming message.
    pub(crate) fn shared(handle: types::Fields) -> Self {
        Self { handle, own: false }
    }

    /// The fields, for a message that is sent. Those that came from outside may go out as they are.
    pub(crate) fn into_handle(self) -> types::Fields {
        self.handle
    }

    pub(crate) fn copy(&self) -> Self {
        Self { handle: self.handle.clone(), own: true }
    }

    fn writable(&mut self) -> &types::Fields {
        if !self.own {
            self.handle = self.handle.clone();
            self.own = true;
        }
        &self.handle
    }

    pub(crate) fn get(&self, name: &str) -> Vec<Vec<u8>> {
        self.handle.get(name)
    }

    pub(crate) fn set(&mut self, name: &str, value: &[u8]) -> Result<(), ()> {
        self.writable().set(name, &[value.to_vec()]).map_err(drop)
    }

    pub(crate) fn append(&mut self, name: &str, value: &[u8]) -> Result<(), ()> {
        self.writable().append(name, value).map_err(drop)
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if self.handle.has(name) {
            let _ = self.writable().delete(name);
        }
    }

    pub(crate) fn entries(&self) -> Vec<(String, Vec<u8>)> {
        self.handle.entries()
    }
}
