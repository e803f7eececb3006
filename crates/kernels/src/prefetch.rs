//! Asking for memory before it is needed, where the order of reading is no order that the processor
//! could guess.

/// Asks for values to be brought into the caches. A hint: nothing waits for it, nothing else changes,
/// and where a processor has no such instruction nothing happens.
#[inline]
pub fn prefetch<T>(values: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

        use crate::aligned::LINE;

        let start = values.as_ptr().cast::<i8>();
        for at in (0..size_of_val(values)).step_by(LINE) {
            // SAFETY: a hint, which never faults whatever the address; SSE is in every x86-64.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(at)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}
