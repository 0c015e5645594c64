//! The slots of a cache, by their audiences.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use super::slot::Slot;
use crate::Audience;

/// A binary tree that only grows, so that lookups take no lock and write to no shared memory. It is
/// not balanced: a configuration has few audiences.
///
/// Measured on two cores, for a cache of one audience and of nine: a hit takes 47 and 54 ns with
/// this tree, 66 and 79 ns with `ArcSwap<BTreeMap>`, 67 and 67 ns with `papaya`, 59 and 58 ns with
/// `papaya` and `foldhash`.
#[derive(Default)]
pub(super) struct SlotMap(OnceLock<Box<Node>>);

struct Node {
    slot: Arc<Slot>,
    before: SlotMap,
    after: SlotMap,
}

impl SlotMap {
    pub(super) fn get(&self, audience: &Audience) -> Option<&Arc<Slot>> {
        let mut subtree = self;
        loop {
            match subtree.0.get()?.find(audience) {
                Ok(slot) => return Some(slot),
                Err(next) => subtree = next,
            }
        }
    }

    /// The slot of an audience. Adds the one that `make` returns if there is none.
    pub(super) fn get_or_insert(&self, audience: &Audience, make: impl Fn() -> Slot) -> &Arc<Slot> {
        let mut subtree = self;
        loop {
            let leaf = || {
                let (before, after) = (Self::default(), Self::default());
                Box::new(Node { slot: Arc::new(make()), before, after })
            };
            // Another thread may have added a node for another audience here in the meantime.
            match subtree.0.get_or_init(leaf).find(audience) {
                Ok(slot) => return slot,
                Err(next) => subtree = next,
            }
        }
    }

    /// Calls `visit` with every slot, ordered by audience.
    pub(super) fn for_each(&self, visit: &mut impl FnMut(&Slot)) {
        if let Some(node) = self.0.get() {
            node.before.for_each(visit);
            visit(&node.slot);
            node.after.for_each(visit);
        }
    }
}

impl Node {
    /// The node's slot, or the subtree to search next.
    fn find(&self, audience: &Audience) -> Result<&Arc<Slot>, &SlotMap> {
        match audience.cmp(self.slot.audience()) {
            Ordering::Less => Err(&self.before),
            Ordering::Equal => Ok(&self.slot),
            Ordering::Greater => Err(&self.after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audience(number: usize) -> Audience {
        Audience::new(&format!("https://{:02}", number * 37 % 100)).unwrap()
    }

    #[test]
    fn each_audience_has_one_slot_however_many_threads_add_it() {
        let slots = SlotMap::default();
        assert!(slots.get(&audience(0)).is_none());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for number in 0..100 {
                        let audience = audience(number);
                        let make = || Slot::new(audience.clone(), None);
                        let slot = slots.get_or_insert(&audience, make);
                        assert_eq!(slot.audience(), &audience);
                        assert!(Arc::ptr_eq(slot, slots.get(&audience).unwrap()));
                    }
                });
            }
        });
        let mut all = Vec::new();
        slots.for_each(&mut |slot| all.push(slot.audience().clone()));
        assert_eq!(all.len(), 100);
        assert!(all.is_sorted());
    }
}
