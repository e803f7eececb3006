//! Memory for tiles, kept by each thread from one task to the next, and for what a whole call keeps.
//!
//! A tile's buffers are a hundred kilobytes or more; asking the system for them once a task would
//! cost as much as a small task itself. It is taken before a kernel is entered, as code in a closure
//! that is called from outside the kernel would not be compiled for the kernel's tier.

use std::cell::Cell;
use std::thread::LocalKey;

type Memory = Cell<Vec<f32>>;

thread_local! {
    static OF_TASKS: Memory = const { Cell::new(Vec::new()) };
    static OF_CALLS: Memory = const { Cell::new(Vec::new()) };
}

/// f32 of a cache line: what the memory's start is a multiple of.
pub(super) const LINE: usize = 16;

/// Calls `function` with `length` values of this thread's memory for tasks, which may hold anything
/// and start on a cache line, as a vector that lies across two costs two loads. The memory is taken
/// for the time of the call, so a call within the call gets memory of its own.
pub(super) fn with_scratch<T>(length: usize, function: impl FnOnce(&mut [f32]) -> T) -> T {
    with(&OF_TASKS, length, function)
}

/// The same with memory that a call keeps while this thread does tasks of its own.
pub(super) fn with_call_scratch<T>(length: usize, function: impl FnOnce(&mut [f32]) -> T) -> T {
    with(&OF_CALLS, length, function)
}

fn with<T>(
    memory: &'static LocalKey<Memory>,
    length: usize,
    function: impl FnOnce(&mut [f32]) -> T,
) -> T {
    let mut scratch = memory.take();
    if scratch.len() < length + LINE {
        scratch.resize(length + LINE, 0.0);
    }
    let skipped = scratch.as_ptr().align_offset(LINE * size_of::<f32>());
    let result = function(&mut scratch[skipped.min(LINE)..][..length]);
    memory.set(scratch);
    result
}
