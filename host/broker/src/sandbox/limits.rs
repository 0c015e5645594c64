//! Memory and tables of one sandbox, all together.

use wasmtime::ResourceLimiter;

use crate::error::Limit;
use keyward_policy::config::Limits;

/// What a sandbox may still take. The stock limiter bounds each memory; this bounds their sum, so
/// that a component of many memories gets no more than one of one.
#[derive(Debug)]
pub(super) struct Budget {
    memory: u64,
    memory_limit: u64,
    elements: u64,
    element_limit: u32,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            memory: 0,
            memory_limit: limits.memory,
            elements: 0,
            element_limit: limits.table_elements,
        }
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = (desired as u64).saturating_sub(current as u64);
        self.memory = self.memory.saturating_add(more);
        if self.memory > self.memory_limit {
            return Err(Limit::Memory(self.memory_limit).into());
        }
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = (desired as u64).saturating_sub(current as u64);
        self.elements = self.elements.saturating_add(more);
        if self.elements > u64::from(self.element_limit) {
            return Err(Limit::TableElements(self.element_limit).into());
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_all_memories_counts() {
        let mut budget =
            Budget::new(&Limits { memory: 100, table_elements: 10, ..Limits::default() });
        assert!(budget.memory_growing(0, 60, None).unwrap());
        assert!(budget.memory_growing(0, 40, None).unwrap());
        let error = budget.memory_growing(40, 41, None).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Limit::Memory(100)));
        assert!(budget.table_growing(0, 10, None).unwrap());
        let error = budget.table_growing(0, 1, None).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Limit::TableElements(10)));
    }
}
