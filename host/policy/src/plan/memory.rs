//! The memories of a component.

use wasmparser::{MemoryType, Parser, Payload};

/// The bytes of a page of a linear memory.
const PAGE: u64 = 64 << 10;

/// The initial size in bytes of all linear memories that the modules of a component define. Parts
/// that cannot be parsed are not counted: the engine rejects the component.
pub(super) fn initial_memory(component: &[u8]) -> u64 {
    let pages = memories(component).map(|memory| memory.initial);
    pages.fold(0, u64::saturating_add).saturating_mul(PAGE)
}

/// How many linear memories the modules of a component define.
#[must_use]
pub fn count_memories(component: &[u8]) -> u32 {
    u32::try_from(memories(component).count()).unwrap_or(u32::MAX)
}

fn memories(component: &[u8]) -> impl Iterator<Item = MemoryType> {
    let payloads = Parser::new(0).parse_all(component).map_while(Result::ok);
    let memories = payloads.filter_map(|payload| match payload {
        Payload::MemorySection(memories) => Some(memories),
        _ => None,
    });
    memories.flatten().filter_map(Result::ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memories_of_all_modules_count() {
        // (component (core module (memory 2)) (core module (memory 3)))
        let module = |pages: u8| [&b"\x01\x0d\0asm\x01\0\0\0\x05\x03\x01\0"[..], &[pages]].concat();
        let component = [&b"\0asm\x0d\0\x01\0"[..], &module(2), &module(3)].concat();
        assert_eq!(initial_memory(&component), 5 * PAGE);
        assert_eq!(count_memories(&component), 2);
        assert_eq!(initial_memory(b"\0asm\x0d\0\x01\0"), 0);
        assert_eq!(initial_memory(b"not a component"), 0);
    }
}
