//! What a sandbox can import.

use wasmtime::component::Linker;
use wasmtime_wasi_config::WasiConfig;

use super::state::State;
use super::{caller_state, forwarding, http_memory, identity, sql};

/// Everything that a plugin may import: the world `plugin`, and nothing else.
pub(super) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi_http::p2::add_to_linker_async(&mut linker)?;
    http_memory::add_to_linker(&mut linker)?;
    wasmtime_wasi_config::add_to_linker(&mut linker, |state: &mut State| {
        WasiConfig::new(&state.call.mount().variables)
    })?;
    forwarding::add_to_linker(&mut linker)?;
    identity::add_to_linker(&mut linker)?;
    caller_state::add_to_linker(&mut linker)?;
    sql::add_to_linker(&mut linker)?;
    Ok(linker)
}
