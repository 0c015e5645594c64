//! The slots of a cache, by their audiences.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use super::slot::Slot;
use crate::Audience;

/// A tree that only grows: whoever looks for a slot takes no lock and writes nothing. The audiences are those of a
/// configuration, so it is small, and nobody balances it.
#[derive(Default)]
pub(super) struct Slots(OnceLock<Box<Node>>);

struct Node {
    slot: Arc<Slot>,
    before: Slots,
    after: Slots,
}

impl Slots {
    pub(super) fn get(&self, audience: &Audience) -> Option<&Arc<Slot>> {
        let mut place = self;
        loop {
            match place.0.get()?.towards(audience) {
                Ok(slot) => return Some(slot),
                Err(next) => place = next,
            }
        }
    }

    /// The slot; `make` makes it where there is none.
    pub(super) fn get_or_add(&self, audience: &Audience, make: impl Fn() -> Slot) -> &Arc<Slot> {
        let mut place = self;
        loop {
            let node = || Box::new(Node { slot: Arc::new(make()), before: Self::default(), after: Self::default() });
            // Somebody else may have put another one here in the meantime.
            match place.0.get_or_init(node).towards(audience) {
                Ok(slot) => return slot,
                Err(next) => place = next,
            }
        }
    }

    /// Calls with each, in the order of the audiences.
    pub(super) fn each(&self, with: &mut impl FnMut(&Slot)) {
        if let Some(node) = self.0.get() {
            node.before.each(with);
            with(&node.slot);
            node.after.each(with);
        }
    }
}

impl Node {
    /// Its slot, or where to look next.
    fn towards(&self, audience: &Audience) -> Result<&Arc<Slot>, &Slots> {
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
    fn each_audience_has_one_slot_however_many_add_it() {
        let slots = Slots::default();
        assert!(slots.get(&audience(0)).is_none());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for number in 0..100 {
                        let audience = audience(number);
                        let slot = slots.get_or_add(&audience, || Slot::new(audience.clone(), None));
                        assert_eq!(slot.audience(), &audience);
                        assert!(Arc::ptr_eq(slot, slots.get(&audience).unwrap()));
                    }
                });
            }
        });
        let mut all = Vec::new();
        slots.each(&mut |slot| all.push(slot.audience().clone()));
        assert_eq!(all.len(), 100);
        assert!(all.is_sorted());
    }
}
