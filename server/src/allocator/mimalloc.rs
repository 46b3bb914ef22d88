//! mimalloc, as the program's allocator.
//!
//! Not by the crate of that name, which asks for every allocation with its alignment. mimalloc meets that by taking a larger size
//! class whenever the right one has nothing free at hand, although blocks of every class are aligned to 16 bytes: 192 bytes for
//! nearly all allocations of 160 with an alignment of 4 (its issue 889). And it leaves what is made smaller where it is, up to half
//! of it unused, although `shrink_to_fit` is called by those who want that half back.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{c_long, c_void};

use libmimalloc_sys::{
    mi_collect, mi_free, mi_good_size, mi_malloc, mi_malloc_aligned, mi_option_set_default,
    mi_option_t, mi_realloc, mi_realloc_aligned, mi_usable_size, mi_zalloc, mi_zalloc_aligned,
};

use super::collect;

/// Blocks of this size and larger are aligned to it (`MI_MAX_ALIGN_SIZE`); smaller ones to 8 bytes.
const ALIGN: usize = 16;
const SMALL_ALIGN: usize = 8;

/// `mi_option_purge_delay` of mimalloc 3: milliseconds until free memory goes back to the system.
const PURGE_DELAY: mi_option_t = 15;

/// Far below mimalloc's own second: what a checkpoint frees is otherwise still resident when the next one begins.
const PURGE_DELAY_MS: c_long = 10;

/// The allocator, to be named as the program's `global_allocator`.
pub struct Mimalloc;

/// True if each block of the size is aligned well enough.
const fn is_aligned(size: usize, align: usize) -> bool {
    align <= SMALL_ALIGN || (align <= ALIGN && size >= ALIGN)
}

#[expect(unsafe_code, reason = "an allocator cannot be had without")]
// SAFETY: mimalloc's functions behave as their namesakes in C, each block is aligned as `is_aligned` tells or as was asked for, and
// every one of them may be freed and resized by the same function.
unsafe impl GlobalAlloc for Mimalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: any size and any power of two will do.
        let block = unsafe {
            if is_aligned(size, align) {
                mi_malloc(size)
            } else {
                mi_malloc_aligned(size, align)
            }
        };
        block.cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as above.
        let block = unsafe {
            if is_aligned(size, align) {
                mi_zalloc(size)
            } else {
                mi_zalloc_aligned(size, align)
            }
        };
        block.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the caller got it from this allocator.
        unsafe { mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        // SAFETY: the caller got the block, which has the layout's size, from this allocator.
        unsafe {
            if size < layout.size() && mi_good_size(size) < mi_usable_size(block.cast::<c_void>()) {
                return shrink(block, layout, size);
            }
            let block = block.cast::<c_void>();
            let moved = if is_aligned(size, align) {
                mi_realloc(block, size)
            } else {
                mi_realloc_aligned(block, size, align)
            };
            moved.cast()
        }
    }
}

/// Moves the beginning of a block to a smaller one; null, and the block as it was, when there is no memory.
///
/// # Safety
/// The block is the allocator's, with that layout, and `size` is less.
#[expect(unsafe_code, reason = "an allocator cannot be had without")]
#[cold]
unsafe fn shrink(block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
    // SAFETY: an alignment that was valid with more bytes is valid with less; both blocks have `size` bytes, and the old one is not
    // used any more.
    unsafe {
        let smaller = Mimalloc.alloc(Layout::from_size_align_unchecked(size, layout.align()));
        if !smaller.is_null() {
            std::ptr::copy_nonoverlapping(block, smaller, size);
            mi_free(block.cast());
        }
        smaller
    }
}

/// Sets mimalloc up, and tells [`super::ask_all`] how it is asked to look. To be called before there are threads.
#[expect(
    unsafe_code,
    reason = "the only way to set an option that is not in the environment"
)]
pub fn set_up() {
    // SAFETY: sets an integer of mimalloc; there is no other thread yet.
    unsafe { mi_option_set_default(PURGE_DELAY, PURGE_DELAY_MS) };
    collect::install(look_again);
}

#[expect(unsafe_code, reason = "mimalloc has no other way")]
fn look_again() {
    // SAFETY: looks at the calling thread's own pages, and may be called at any time.
    unsafe { mi_collect(false) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(unsafe_code, reason = "it is what is tested")]
    #[test]
    fn blocks_are_aligned_and_no_larger_than_needed() {
        // All are kept, so that pages become full and new ones are taken.
        let mut blocks = Vec::new();
        for round in 0..200 {
            for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
                for size in [1, 8, 15, 16, 48, 93, 160, 1012, 5000] {
                    let layout = Layout::from_size_align(size, align).expect("it is valid");
                    // SAFETY: the size is not zero; freed below.
                    let block = unsafe { Mimalloc.alloc(layout) };
                    assert!(!block.is_null() && block.addr() % align == 0, "{layout:?}");
                    blocks.push((block, layout));
                    // SAFETY: just allocated.
                    let usable = unsafe { mi_usable_size(block.cast()) };
                    // SAFETY: only calculates.
                    let good = unsafe { mi_good_size(size) };
                    assert!(
                        !is_aligned(size, align) || usable == good,
                        "{round}: {layout:?} {usable}"
                    );
                }
            }
        }
        for (block, layout) in blocks {
            // SAFETY: allocated above, with this layout.
            unsafe { Mimalloc.dealloc(block, layout) };
        }
    }

    #[expect(unsafe_code, reason = "it is what is tested")]
    #[test]
    fn what_is_made_smaller_moves_and_keeps_its_bytes() {
        for align in [1, 8, 64] {
            let layout = Layout::from_size_align(1200, align).expect("it is valid");
            let small = Layout::from_size_align(1012, align).expect("it is valid");
            let large = Layout::from_size_align(3000, align).expect("it is valid");
            // SAFETY: each block is allocated, used within its size, resized and freed once.
            unsafe {
                let block = Mimalloc.alloc_zeroed(layout);
                assert!((0..1200).all(|at| *block.add(at) == 0));
                (0..1200).for_each(|at| *block.add(at) = at as u8);
                let block = Mimalloc.realloc(block, layout, 1012);
                assert_eq!(block.addr() % align, 0);
                assert!(align > ALIGN || mi_usable_size(block.cast()) == mi_good_size(1012));
                assert!((0..1012).all(|at| *block.add(at) == at as u8));
                let block = Mimalloc.realloc(block, small, 3000);
                assert_eq!(block.addr() % align, 0);
                assert!((0..1012).all(|at| *block.add(at) == at as u8));
                Mimalloc.dealloc(block, large);
            }
        }
    }
}
