//! The numbers of soft tokens: given out once, in the whole process, and never again.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::soft::SOFT_BASE;

/// The next number that nobody has had.
static NEXT: AtomicU32 = AtomicU32::new(SOFT_BASE);

/// The first of `count` numbers that nobody has had; `None` when there are not so many any more, which
/// takes some thirty million pictures.
pub(super) fn take(count: usize) -> Option<u32> {
    let count = u32::try_from(count).ok()?;
    let taken = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
        // Past the end it stays there.
        next.checked_add(count)
    });
    taken.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_given_twice() {
        let first = take(64).unwrap();
        let second = take(16).unwrap();
        assert!(first >= SOFT_BASE && second >= first + 64);
        assert_eq!(take(usize::MAX), None);
        assert_eq!(take(u32::MAX as usize), None);
        assert!(take(1).unwrap() >= second + 16);
    }
}
