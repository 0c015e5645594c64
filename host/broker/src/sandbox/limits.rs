//! Memory and tables of one sandbox, all together.

use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::FieldMap;
use wasmtime_wasi_http::p2::types::{
    HostIncomingResponse, HostOutgoingRequest, HostOutgoingResponse,
};

use super::state::State;
use crate::call::header_bytes;
use crate::error::Limit;

/// What the host holds for any handle, in bytes, beside its contents.
const HANDLE: u64 = 256;

impl State {
    /// Counts bytes that the guest makes the host hold behind a handle.
    pub(super) fn hold(&mut self, bytes: u64) -> Result<(), Limit> {
        // Rows and responses have the rest, so what was dropped must not count for long.
        if self.counts.handle_bytes - self.counts.last_handle_bytes
            > self.call.memory().limit() / 16
        {
            self.count_handles();
        }
        self.take(bytes)?;
        self.counts.handle_bytes += bytes;
        Ok(())
    }

    /// Fails if so many bytes are not left.
    pub(super) fn make_room(&mut self, bytes: u64) -> Result<(), Limit> {
        self.take(bytes)?;
        self.call.memory().give_back(bytes);
        Ok(())
    }

    /// Counts bytes until they are given back.
    pub(super) fn take(&mut self, bytes: u64) -> Result<(), Limit> {
        if self.call.memory().take(bytes).is_ok() {
            return Ok(());
        }
        self.count_handles();
        self.call.memory().take(bytes)
    }

    /// Counts the bytes of the handles that there are.
    fn count_handles(&mut self) {
        let bytes = bytes_behind_handles(&mut self.table);
        self.call.memory().add(bytes);
        self.call.memory().give_back(self.counts.handle_bytes);
        self.counts.handle_bytes = bytes;
        self.counts.last_handle_bytes = bytes;
    }
}

/// What the host holds for the handles of a sandbox, in bytes.
fn bytes_behind_handles(table: &mut ResourceTable) -> u64 {
    let entries = table.iter_mut().map(|entry| {
        let contents = if let Some(fields) = entry.downcast_ref::<FieldMap>() {
            header_bytes(fields)
        } else if let Some(request) = entry.downcast_ref::<HostOutgoingRequest>() {
            let authority = request.authority.as_deref().map_or(0, str::len);
            let path = request.path_with_query.as_deref().map_or(0, str::len);
            header_bytes(&request.headers) + (authority + path) as u64
        } else if let Some(response) = entry.downcast_ref::<HostOutgoingResponse>() {
            header_bytes(&response.headers)
        } else if let Some(response) = entry.downcast_ref::<HostIncomingResponse>() {
            header_bytes(&response.headers)
        } else {
            0
        };
        HANDLE + contents
    });
    entries.sum()
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.take((desired as u64).saturating_sub(current as u64))?;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = (desired as u64).saturating_sub(current as u64);
        let limit = self.call.mount().limits.table_elements;
        self.counts.table_elements = self.counts.table_elements.saturating_add(more);
        if self.counts.table_elements > u64::from(limit) {
            return Err(Limit::TableElements(limit).into());
        }
        Ok(true)
    }
}
