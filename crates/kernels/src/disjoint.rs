//! One output that several tasks of a region fill side by side.

use std::marker::PhantomData;

/// A slice whose parts are handed out to tasks. Whoever takes parts promises that no two tasks take
/// overlapping ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disjoint<'slice, T> {
    start: *mut T,
    length: usize,
    slice: PhantomData<&'slice mut [T]>,
}

// SAFETY: it is a `&mut [T]` that is cut up later; the parts that it gives out are `&mut [T]`, which
// may be sent where a `T` may. That they do not overlap is promised at `part`.
unsafe impl<T: Send> Send for Disjoint<'_, T> {}
// SAFETY: as above: sharing it only gives access through `part`.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}

impl<'slice, T> Disjoint<'slice, T> {
    pub(crate) fn new(slice: &'slice mut [T]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            length: slice.len(),
            slice: PhantomData,
        }
    }

    /// The values from `at` on; panics if there are not so many.
    ///
    /// # Safety
    ///
    /// While the part is in use, no other part that overlaps it is.
    pub(crate) unsafe fn part(&self, at: usize, length: usize) -> &'slice mut [T] {
        assert!(at <= self.length && length <= self.length - at);
        // SAFETY: the range lies in the slice, which is borrowed for as long as the part; the caller
        // promises that nobody else uses it.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), length) }
    }
}
