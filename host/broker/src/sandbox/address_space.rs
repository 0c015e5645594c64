//! Address space for sandboxes: what they take, and how many fit where it is limited.
//!
//! A slot for each sandbox that may run is reserved when the broker starts, so that a memory can
//! grow to its limit without moving. That takes address space, and hardly any memory. A limit of
//! the process (`ulimit -v`, `LimitAS=`) may leave room for fewer.

use keyward_policy::plan::{PlannedMount, count_memories};

/// The most tables of a component. Those that were seen have two or three, whatever their language.
pub(super) const TABLES_EACH: u32 = 4;

/// Address space between two memories, in bytes, where every access traps. A guest's accesses are
/// checked against the limit of its memory by its own code. With 4 GiB for each memory, which makes
/// most checks needless, 640 sandboxes took 4 TiB.
pub(super) const MEMORY_GUARD: u64 = 64 << 10;

/// A guest's stack.
pub(super) const STACK: usize = 1 << 20;

/// What is left to the rest of the broker: its heap, threads, compiled plugins.
const REST: u64 = 1 << 30;

/// The bytes of an element of a table.
const ELEMENT: u64 = 16;

/// The slots that all sandboxes together need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slots {
    /// Sandboxes.
    pub(crate) sandboxes: u32,
    /// Linear memories.
    pub(crate) memories: u32,
    /// The address space of each memory, in bytes.
    pub(crate) memory: u64,
    /// The most elements of a table.
    pub(crate) table_elements: u32,
}

impl Slots {
    /// Those of all calls that the mounts may run at once.
    pub(crate) fn of(mounts: &[PlannedMount]) -> Self {
        let mut slots = Self::default();
        for PlannedMount { plugin, limits, .. } in mounts {
            let memories = count_memories(&plugin.component).max(1);
            slots.sandboxes = slots.sandboxes.saturating_add(limits.concurrency);
            slots.memories =
                slots.memories.saturating_add(limits.concurrency.saturating_mul(memories));
            // A power of two, so that code that was compiled for one limit fits others.
            slots.memory = slots.memory.max(limits.memory.next_power_of_two());
            slots.table_elements = slots.table_elements.max(limits.table_elements);
        }
        slots
    }

    /// The address space that they take, in bytes.
    fn bytes(&self) -> u64 {
        let memories = u64::from(self.memories).saturating_mul(self.memory + MEMORY_GUARD);
        let tables = u64::from(TABLES_EACH) * u64::from(self.table_elements) * ELEMENT;
        let others = u64::from(self.sandboxes).saturating_mul(tables + 2 * STACK as u64);
        memories.saturating_add(others)
    }
}

/// Fewer calls at once than the configuration wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reduced {
    /// What the configuration wants.
    pub(crate) wanted: u32,
    /// What fits.
    pub(crate) fits: u32,
    /// The address space that the process may have, in bytes.
    pub(crate) limit: u64,
}

/// Lowers the concurrency of mounts until their sandboxes fit into the process's address space.
/// Each keeps at least one call. Returns what was lowered, if anything was.
pub(crate) fn fit(mounts: &mut [PlannedMount]) -> Option<Reduced> {
    let (limit, used) = available()?;
    fit_into(mounts, limit, used)
}

fn fit_into(mounts: &mut [PlannedMount], limit: u64, used: u64) -> Option<Reduced> {
    let room = limit.saturating_sub(used).saturating_sub(REST.min(limit / 4));
    let wanted = Slots::of(mounts);
    let needed = wanted.bytes();
    if needed <= room {
        return None;
    }
    for mount in mounts.iter_mut() {
        let fits = u128::from(mount.limits.concurrency) * u128::from(room) / u128::from(needed);
        mount.limits.concurrency = u32::try_from(fits).unwrap_or(u32::MAX).max(1);
    }
    Some(Reduced { wanted: wanted.sandboxes, fits: Slots::of(mounts).sandboxes, limit })
}

/// The address space that the process may have, and that it has, in bytes; `None` without a limit.
#[cfg(target_os = "linux")]
fn available() -> Option<(u64, u64)> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current?;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let used = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    let used: u64 = used.trim().strip_suffix(" kB")?.parse().ok()?;
    Some((limit, used << 10))
}

#[cfg(not(target_os = "linux"))]
fn available() -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use keyward_policy::config::Config;
    use keyward_policy::plan::{Plan, Plugins};

    use super::*;

    const GIB: u64 = 1 << 30;

    fn mounts() -> Vec<PlannedMount> {
        let mut mounts = Vec::new();
        for (name, concurrency) in [("a", 128), ("b", 4)] {
            let text = format!(
                "[identity.default]\nsource = \"imds\"\n[mount.{name}]\nplugin = \"p\"\n\
                 [mount.{name}.limits]\nconcurrency = {concurrency}\nmemory = \"48MiB\"\n"
            );
            let config = Config::from_toml(Path::new("test.toml"), &text).unwrap();
            let manifest = b"name = \"p\"\nsummary = \"a test\"\n";
            let section = [&[manifest.len() as u8 + 17, 16], &b"keyward:manifest"[..], manifest];
            let component = [&b"\0asm\x0d\0\x01\0\0"[..], &section.concat()].concat();
            let plan = Plan::new(config, &Plugins::new().with("p", component)).unwrap();
            mounts.extend(plan.mounts);
        }
        mounts
    }

    #[test]
    fn every_call_has_a_slot() {
        let slots = Slots::of(&mounts());
        assert_eq!((slots.sandboxes, slots.memories, slots.memory), (132, 132, 64 << 20));
        let mut all = mounts();
        assert_eq!(fit_into(&mut all, 64 * GIB, 0), None);
        assert_eq!(Slots::of(&all), slots);
    }

    #[test]
    fn fewer_calls_run_where_address_space_is_limited() {
        for limit in [16 * GIB, 8 * GIB, 4 * GIB, 2 * GIB] {
            let mut all = mounts();
            let used = GIB / 4;
            let Some(reduced) = fit_into(&mut all, limit, used) else {
                assert!(Slots::of(&all).bytes() <= limit - used);
                continue;
            };
            assert!(Slots::of(&all).bytes() <= limit - used, "{limit}");
            assert_eq!((reduced.wanted, reduced.limit), (132, limit));
            assert!(reduced.fits < 132 && all.iter().all(|mount| mount.limits.concurrency > 0));
        }
        let mut all = mounts();
        let none = fit_into(&mut all, 1, 1).unwrap();
        assert_eq!(none.fits, 2, "each mount keeps one call");
    }
}
