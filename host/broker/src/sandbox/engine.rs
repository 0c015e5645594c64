//! The engine that all sandboxes run in, and its clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::address_space::{MEMORY_GUARD, STACK, Slots, TABLES_EACH};
use crate::start_error::StartError;
use keyward_policy::plan::PlannedMount;

/// How long a guest computes before others get their turn, and the grain in which its time is
/// measured.
const TICK: Duration = Duration::from_millis(10);

/// The most sandboxes at once. Each takes about six memory mappings, and Linux lets a process have
/// 65,530 (`vm.max_map_count`).
pub(crate) const MOST_SANDBOXES: u32 = 8192;

/// What a component may consist of.
const MEMORIES_EACH: u32 = 2;
const CORE_INSTANCES_EACH: u32 = 64;

/// What wasm code may take of a guest's stack, on which host functions run too.
const WASM_STACK: usize = 512 << 10;

/// How much of a memory and a table is cleared by writing, and kept, rather than given back to the
/// system and mapped again for the next call. Measured with small GETs at 2 cores: without,
/// page-table work across cores halves the rate.
const MEMORY_KEPT: usize = 1 << 20;
const TABLE_KEPT: usize = 64 << 10;

/// An engine with a pool of sandboxes, and a thread that ticks.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) engine: wasmtime::Engine,
    _ticker: Arc<Ticker>,
}

impl Engine {
    /// An engine for the sandboxes of these mounts.
    pub(crate) fn new(mounts: &[PlannedMount]) -> Result<Self, StartError> {
        let slots = Slots::of(mounts);
        let wanted = slots.sandboxes;
        if wanted > MOST_SANDBOXES {
            return Err(StartError::TooManySandboxes { wanted, most: MOST_SANDBOXES });
        }
        let most = mounts.iter().map(|mount| mount.limits.memory).max().unwrap_or_default();
        let engine = wasmtime::Engine::new(&config(slots, most)).map_err(StartError::engine)?;
        let ticker = Ticker::start(&engine)
            .map_err(|error| StartError::Engine { why: error.to_string() })?;
        Ok(Self { engine, _ticker: Arc::new(ticker) })
    }
}

/// The configuration of an engine with these slots. `most` is the largest memory that a guest may
/// have, in bytes.
fn config(slots: Slots, most: u64) -> Config {
    let sandboxes = slots.sandboxes.max(1);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(sandboxes)
        .total_core_instances(sandboxes.saturating_mul(CORE_INSTANCES_EACH))
        .total_memories(slots.memories.max(1))
        .total_tables(sandboxes.saturating_mul(TABLES_EACH))
        .total_stacks(sandboxes)
        .total_gc_heaps(sandboxes)
        .max_core_instances_per_component(CORE_INSTANCES_EACH)
        .max_memories_per_component(MEMORIES_EACH)
        .max_tables_per_component(TABLES_EACH)
        .max_memory_size(usize::try_from(most).unwrap_or(usize::MAX))
        .table_elements(slots.table_elements as usize)
        .linear_memory_keep_resident(MEMORY_KEPT)
        .table_keep_resident(TABLE_KEPT)
        .max_unused_warm_slots(sandboxes)
        .pagemap_scan(wasmtime::Enabled::Auto);

    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .epoch_interruption(true)
        // WASI 0.2 only: the machinery of 0.3 would cost on every call.
        .concurrency_support(false)
        .memory_reservation(slots.memory)
        .memory_guard_size(MEMORY_GUARD)
        .async_stack_size(STACK)
        .max_wasm_stack(WASM_STACK)
        // No plugin needs these, and what is not there cannot be attacked.
        .wasm_threads(false)
        .shared_memory(false)
        .wasm_memory64(false)
        .wasm_stack_switching(false)
        // `plan::features` names these to the author of a plugin that uses one. Reference types
        // stay: compilers use them.
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_exceptions(false)
        .wasm_relaxed_simd(false);
    config
}

/// Ticks until it is dropped.
struct Ticker {
    stop: Arc<AtomicBool>,
}

impl Ticker {
    fn start(engine: &wasmtime::Engine) -> std::io::Result<Self> {
        let (stop, engine) = (Arc::new(AtomicBool::new(false)), engine.weak());
        let stopped = Arc::clone(&stop);
        std::thread::Builder::new().name("keyward-ticks".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(TICK);
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => return,
                }
            }
        })?;
        Ok(Self { stop })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_itself_has_the_features_off_that_plugins_cannot_use() {
        let slots = Slots { sandboxes: 1, memories: 1, memory: 1 << 20, table_elements: 1000 };
        let engine = wasmtime::Engine::new(&config(slots, 1 << 20)).unwrap();
        let module = |sections: &[u8]| [b"\0asm\x01\0\0\0", sections].concat();
        let valid =
            |sections: &[u8]| wasmtime::Module::validate(&engine, &module(sections)).is_ok();
        assert!(valid(b"\x04\x04\x01\x6f\0\0"), "a table of external references");
        assert!(!valid(b"\x01\x03\x01\x5f\0"), "a struct, of the garbage collection proposal");
        assert!(!valid(b"\x01\x04\x01\x60\0\0\x0d\x03\x01\0\0"), "a tag of exceptions");
        assert!(!valid(b"\x01\x09\x02\x60\0\0\x60\x01\x63\0\0"), "a typed function reference");
        assert!(!valid(b"\x05\x03\x01\x04\x01"), "a 64-bit memory");
        assert!(!valid(b"\x05\x04\x01\x03\x01\x01"), "a shared memory");
    }
}
