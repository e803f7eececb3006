//! Memory that starts on a cache line.
//!
//! Tiles are read 64 bytes at a time; a load that crosses a line costs two. The memory comes zeroed
//! from the system, which hands its pages out when they are first written: by the threads that fill
//! them, not by the one that asked. (An allocation whose layout asks for more than the system's own
//! alignment would be zeroed by hand at once, so the start is moved instead.)

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

/// A fixed number of values that start on a cache line.
pub(crate) struct Aligned<T: Zeroable> {
    /// What was allocated.
    base: NonNull<u8>,
    /// The first line's start in it.
    start: NonNull<T>,
    length: usize,
}

/// Types for which all bits zero is a value, and which need no dropping.
///
/// # Safety
///
/// As it says.
pub(crate) unsafe trait Zeroable: Copy {}
// SAFETY: plain numbers.
unsafe impl Zeroable for u8 {}
// SAFETY: as above.
unsafe impl Zeroable for i8 {}
// SAFETY: as above.
unsafe impl Zeroable for f32 {}

impl<T: Zeroable> Aligned<T> {
    /// Zeros. Like any allocation, ends the process if there is no memory.
    pub(crate) fn zeros(length: usize) -> Self {
        let layout = Self::layout(length);
        // SAFETY: the layout's size is LINE at least.
        let base = unsafe { alloc_zeroed(layout) };
        let Some(base) = NonNull::new(base) else {
            handle_alloc_error(layout);
        };
        // SAFETY: fewer than LINE bytes away, and the allocation has LINE more than the values need.
        let start = unsafe { base.add(base.align_offset(LINE)) };
        Self {
            base,
            start: start.cast(),
            length,
        }
    }

    fn layout(length: usize) -> Layout {
        // A length that no address space holds is clamped to one that the allocator refuses.
        let most = isize::MAX as usize - LINE;
        let bytes = length
            .saturating_mul(size_of::<T>())
            .saturating_add(LINE)
            .min(most);
        Layout::from_size_align(bytes, align_of::<T>()).unwrap_or(Layout::new::<u8>())
    }
}

impl<T: Zeroable> Drop for Aligned<T> {
    fn drop(&mut self) {
        // SAFETY: `zeros` allocated it with this layout.
        unsafe { dealloc(self.base.as_ptr(), Self::layout(self.length)) };
    }
}

impl<T: Zeroable> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `length` values from `start` on were allocated and are initialised, zero at least.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl<T: Zeroable> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl<T: Zeroable> fmt::Debug for Aligned<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Aligned")
            .field("length", &self.length)
            .finish()
    }
}

// SAFETY: it owns its memory, as a `Vec<T>` does.
unsafe impl<T: Zeroable + Send> Send for Aligned<T> {}
// SAFETY: as above.
unsafe impl<T: Zeroable + Sync> Sync for Aligned<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_and_zero() {
        for length in [0, 1, 63, 64, 100_000] {
            let mut values = Aligned::<f32>::zeros(length);
            assert_eq!(values.len(), length);
            assert_eq!(values.as_ptr() as usize % LINE, 0);
            assert!(values.iter().all(|value| *value == 0.0));
            values.fill(1.0);
            assert!(values.iter().all(|value| *value == 1.0));
        }
    }
}
