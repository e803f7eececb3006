//! Memory for tiles, kept by each thread from one task to the next.
//!
//! A tile's buffers are a hundred kilobytes or more; asking the system for them once a task would
//! cost as much as a small task itself. It is taken before a kernel is entered, as code in a closure
//! that is called from outside the kernel would not be compiled for the kernel's tier.

use std::cell::Cell;

thread_local! {
    static SCRATCH: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// f32 of a cache line: what the memory's start is a multiple of.
pub(super) const LINE: usize = 16;

/// Calls `function` with `length` values of this thread's memory, which may hold anything and start
/// on a cache line, as a vector that lies across two costs two loads. The memory is taken for the
/// time of the call, so a call within the call gets memory of its own.
pub(super) fn with_scratch<T>(length: usize, function: impl FnOnce(&mut [f32]) -> T) -> T {
    let mut scratch = SCRATCH.take();
    if scratch.len() < length + LINE {
        scratch.resize(length + LINE, 0.0);
    }
    let skipped = scratch.as_ptr().align_offset(LINE * size_of::<f32>());
    let result = function(&mut scratch[skipped.min(LINE)..][..length]);
    SCRATCH.set(scratch);
    result
}
