//! An allocator that overwrites memory when it is freed.
//!
//! Tokens are copied where Keyward cannot reach: into the buffers of HTTP, TLS and the database
//! driver. These are on the heap. With this allocator such a copy lasts as long as its buffer, and
//! not until another allocation happens to overwrite it.
#![allow(
    unsafe_code,
    reason = "implementing an allocator is unsafe, and so is writing to the memory that it frees"
)]

use std::alloc::{GlobalAlloc, Layout};

/// Overwrites each block of an allocator with zeros before it is freed.
pub(crate) struct ZeroOnFree<A>(pub(crate) A);

// SAFETY: all blocks are the inner allocator's, and each is freed there with its own layout.
//
// `realloc` is the trait's: it always allocates a block with `alloc`, copies, and frees the old one
// with `dealloc`. The inner allocator's would free the old block as it is.
unsafe impl<A: GlobalAlloc> GlobalAlloc for ZeroOnFree<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises what the inner allocator requires.
        unsafe { self.0.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises what the inner allocator requires.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller promises that the block has this layout, and does not use it any more.
        unsafe {
            zero(block, layout.size());
            self.0.dealloc(block, layout);
        }
    }
}

/// Overwrites memory with zeros, also if the compiler knows that it is freed next.
///
/// Measured with blocks of 16 KiB to 16 MiB whose pages were all used: giving them back to the
/// system instead (`MADV_DONTNEED`) took longer, 38 times as long for the small ones and 1.2 times
/// for the large ones, since the next use of each page is a page fault.
///
/// # Safety
///
/// The memory must be valid for writes, and nobody else may use it meanwhile.
#[inline]
unsafe fn zero(start: *mut u8, length: usize) {
    // SAFETY: as the caller promises; and what was written may be read.
    let zeroed = unsafe {
        start.write_bytes(0, length);
        std::slice::from_raw_parts(start, length)
    };
    zeroize::optimization_barrier(zeroed);
}

#[cfg(test)]
mod tests {
    use std::alloc::System;
    use std::collections::HashMap;
    use std::sync::Mutex;

    use mimalloc::MiMalloc;

    use super::*;

    /// The system's allocator. Checks that each block is zero when it is freed.
    #[derive(Default)]
    struct Checking(Mutex<Blocks>);

    #[derive(Default)]
    struct Blocks {
        allocated: HashMap<usize, Layout>,
        freed: usize,
    }

    // SAFETY: blocks are the system's, and are freed with the layout that they were allocated with.
    unsafe impl GlobalAlloc for Checking {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let block = unsafe { System.alloc(layout) };
            self.0.lock().unwrap().allocated.insert(block.addr(), layout);
            block
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            let mut blocks = self.0.lock().unwrap();
            assert_eq!(blocks.allocated.remove(&block.addr()), Some(layout));
            assert!(
                (0..layout.size()).all(|at| unsafe { block.add(at).read() } == 0),
                "{layout:?}"
            );
            blocks.freed += 1;
            unsafe { System.dealloc(block, layout) };
        }

        unsafe fn realloc(&self, _: *mut u8, _: Layout, _: usize) -> *mut u8 {
            panic!("it may free a block that is not zero")
        }
    }

    impl ZeroOnFree<Checking> {
        /// How many blocks are allocated now, and how many were freed.
        fn counts(&self) -> (usize, usize) {
            let blocks = self.0.0.lock().unwrap();
            (blocks.allocated.len(), blocks.freed)
        }
    }

    const SIZES: [usize; 12] = [1, 7, 8, 16, 31, 33, 100, 128, 1000, 4096, 5000, 70_000];

    const ALIGNMENTS: [usize; 4] = [1, 16, 64, 4096];

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    /// Bytes that depend on their position, and are not zero.
    fn secret(at: usize) -> u8 {
        u8::try_from(at % 251).unwrap() + 1
    }

    unsafe fn fill(block: *mut u8, size: usize) {
        (0..size).for_each(|at| unsafe { block.add(at).write(secret(at)) });
    }

    unsafe fn is_filled(block: *mut u8, size: usize) -> bool {
        (0..size).all(|at| unsafe { block.add(at).read() } == secret(at))
    }

    #[test]
    fn a_block_is_zero_when_it_is_freed() {
        let allocator = ZeroOnFree(Checking::default());
        for size in SIZES {
            for layout in ALIGNMENTS.map(|align| layout(size, align)) {
                unsafe {
                    let block = allocator.alloc(layout);
                    fill(block, size);
                    allocator.dealloc(block, layout);
                }
            }
        }
        assert_eq!(allocator.counts(), (0, SIZES.len() * ALIGNMENTS.len()));
    }

    #[test]
    fn a_block_that_grows_or_shrinks_leaves_no_copy() {
        let allocator = ZeroOnFree(Checking::default());
        for from in SIZES {
            for to in SIZES {
                unsafe {
                    let block = allocator.alloc(layout(from, 8));
                    fill(block, from);
                    let block = allocator.realloc(block, layout(from, 8), to);
                    assert!(is_filled(block, from.min(to)), "{from} to {to}");
                    fill(block, to);
                    allocator.dealloc(block, layout(to, 8));
                }
            }
        }
        assert_eq!(allocator.counts(), (0, 2 * SIZES.len() * SIZES.len()));
    }

    #[test]
    fn blocks_of_mimalloc_are_aligned_and_zero_where_asked_for() {
        let allocator = ZeroOnFree(MiMalloc);
        for size in SIZES {
            for align in ALIGNMENTS {
                let (small, large) = (layout(size, align), layout(2 * size, align));
                unsafe {
                    let used = allocator.alloc(small);
                    fill(used, size);
                    allocator.dealloc(used, small);
                    let block = allocator.alloc_zeroed(small);
                    assert_eq!(block.addr() % align, 0, "{small:?}");
                    assert!((0..size).all(|at| block.add(at).read() == 0), "{small:?}");
                    fill(block, size);
                    let moved = allocator.realloc(block, small, large.size());
                    assert_eq!(moved.addr() % align, 0, "{large:?}");
                    assert!(is_filled(moved, size), "{large:?}");
                    allocator.dealloc(moved, large);
                }
            }
        }
    }
}
