//! Memory that starts on a cache line: packed weights, and what bandwidth is measured with.
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
pub(crate) const LINE: usize = 64;

/// A fixed number of values that start on a cache line.
pub(crate) struct Aligned<T: Number> {
    /// What was allocated, and how.
    base: NonNull<u8>,
    layout: Layout,
    /// The first line's start in it.
    start: NonNull<T>,
    length: usize,
}

/// The plain numbers, which may be seen as each other.
///
/// # Safety
///
/// Every pattern of bits is a value, there is no padding, and size and alignment divide [`LINE`].
pub(crate) unsafe trait Number: Copy + Send + Sync {}
// SAFETY: a primitive number of one byte.
unsafe impl Number for u8 {}
// SAFETY: of two bytes.
unsafe impl Number for u16 {}
// SAFETY: of four bytes.
unsafe impl Number for u32 {}
// SAFETY: of four bytes, all of whose patterns are numbers, infinities or NaN.
unsafe impl Number for f32 {}

impl<T: Number> Aligned<T> {
    /// Zeros. Like any allocation, ends the process if there is no memory.
    pub(crate) fn zeros(length: usize) -> Self {
        // A length that no address space holds is one that there is no memory for.
        let Some(layout) = Self::layout(length) else {
            handle_alloc_error(Layout::new::<T>());
        };
        // SAFETY: the layout's size is LINE at least.
        let base = unsafe { alloc_zeroed(layout) };
        let Some(base) = NonNull::new(base) else {
            handle_alloc_error(layout);
        };
        let to_next_line = base.addr().get().wrapping_neg() % LINE;
        // SAFETY: fewer than LINE bytes away, and the allocation has LINE more than the values need.
        let start = unsafe { base.add(to_next_line) };
        Self {
            base,
            layout,
            start: start.cast(),
            length,
        }
    }

    /// The values, and room to move their start.
    fn layout(length: usize) -> Option<Layout> {
        let bytes = length.checked_mul(size_of::<T>())?.checked_add(LINE)?;
        Layout::from_size_align(bytes, align_of::<T>()).ok()
    }

    /// The same memory as other numbers; what is left of a last one is left out.
    pub(crate) fn seen_as<N: Number>(&self) -> &[N] {
        let length = size_of_val::<[T]>(self) / size_of::<N>();
        // SAFETY: the memory starts on a line, which is aligned for any `N`, has `length` times its
        // size, and is initialised; every pattern of bits is an `N`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), length) }
    }

    /// As [`seen_as`](Self::seen_as), to be written.
    pub(crate) fn seen_as_mut<N: Number>(&mut self) -> &mut [N] {
        let length = size_of_val::<[T]>(self) / size_of::<N>();
        // SAFETY: as in `seen_as`; `self` is borrowed exclusively, and what is written has no
        // padding and is a `T` whatever its bits, so the memory stays initialised.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().cast(), length) }
    }
}

impl<T: Number> Drop for Aligned<T> {
    fn drop(&mut self) {
        // SAFETY: `zeros` allocated it with this layout.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

impl<T: Number> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `length` values from `start` on were allocated and are initialised, zero at least.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl<T: Number> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl<T: Number> fmt::Debug for Aligned<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Aligned")
            .field("length", &self.length)
            .finish()
    }
}

// SAFETY: it owns its memory, as a `Vec<T>` does, and numbers may be sent.
unsafe impl<T: Number> Send for Aligned<T> {}
// SAFETY: as above; sharing it gives shared access to numbers only.
unsafe impl<T: Number> Sync for Aligned<T> {}

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

    #[test]
    fn memory_is_seen_as_other_numbers() {
        let mut bytes = Aligned::<u8>::zeros(11);
        assert_eq!(bytes.seen_as::<u32>(), [0; 2]);
        assert_eq!(bytes.seen_as::<u16>().len(), 5);
        bytes.seen_as_mut::<u32>()[1] = 1.5f32.to_bits();
        assert_eq!(bytes[4..8], 1.5f32.to_ne_bytes());
        assert_eq!(bytes[8..], [0; 3]);
        assert_eq!(bytes.seen_as::<f32>(), [0.0, 1.5]);
    }

    #[test]
    fn what_no_address_space_holds_has_no_layout() {
        assert!(Aligned::<f32>::layout(usize::MAX / 4).is_none());
        assert!(Aligned::<u8>::layout(usize::MAX - LINE).is_none());
        assert!(Aligned::<u32>::layout(1 << 20).is_some());
    }
}
