//! Header fields that the host owns.

use super::bindings::wasi::http::types;

/// A handle to fields of the host. Incoming fields are immutable: the first change copies them, in
/// the host.
#[derive(Debug)]
pub(crate) struct Fields {
    handle: types::Fields,
    is_owned: bool,
}

impl Default for Fields {
    fn default() -> Self {
        Self { handle: types::Fields::new(), is_owned: true }
    }
}

impl Fields {
    /// The fields of an incoming message.
    pub(crate) fn shared(handle: types::Fields) -> Self {
        Self { handle, is_owned: false }
    }

    /// The handle, for an outgoing message. Incoming fields may be sent unchanged.
    pub(crate) fn into_handle(self) -> types::Fields {
        self.handle
    }

    pub(crate) fn copy(&self) -> Self {
        Self { handle: self.handle.clone(), is_owned: true }
    }

    fn writable(&mut self) -> &types::Fields {
        if !self.is_owned {
            self.handle = self.handle.clone();
            self.is_owned = true;
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
