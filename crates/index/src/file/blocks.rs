//! Which blocks of a section are known to be good.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A mark a block. Marks are only ever added.
///
/// The bytes of a block are those of the file before and after, whoever marks it, so a mark
/// publishes nothing and no access to it has to be ordered with any other.
#[derive(Debug)]
pub(super) struct GoodBlocks {
    /// A bit a block, 64 a word.
    words: Box<[AtomicU64]>,
    /// Blocks that have no mark yet.
    missing: AtomicUsize,
}

impl GoodBlocks {
    /// Marks for `count` blocks, none of them set.
    pub(super) fn none_of(count: usize) -> GoodBlocks {
        GoodBlocks {
            words: (0..count.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
            missing: AtomicUsize::new(count),
        }
    }

    /// Whether every block is marked.
    pub(super) fn all(&self) -> bool {
        self.missing.load(Ordering::Relaxed) == 0
    }

    /// Whether one of `blocks` has no mark.
    pub(super) fn any_missing(&self, blocks: Range<usize>) -> bool {
        self.check_missing(blocks, Err).is_err()
    }

    /// Calls `check` with each block of `blocks` that has no mark, and marks it if that succeeds.
    pub(super) fn check_missing<E>(
        &self,
        blocks: Range<usize>,
        mut check: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        for word in blocks.start / 64..blocks.end.div_ceil(64) {
            let first = word * 64;
            let wanted =
                bits_from(blocks.start.saturating_sub(first)) & !bits_from(blocks.end - first);
            let mut missing = wanted & !self.words[word].load(Ordering::Relaxed);
            while missing != 0 {
                let bit = missing.trailing_zeros();
                check(first + bit as usize)?;
                self.mark(word, 1 << bit);
                missing &= missing - 1;
            }
        }
        Ok(())
    }

    fn mark(&self, word: usize, bit: u64) {
        let before = self.words[word].fetch_or(bit, Ordering::Relaxed);
        if before & bit == 0 {
            self.missing.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The bits of a word from `first` on; none if that is 64 or more.
fn bits_from(first: usize) -> u64 {
    match first {
        0..64 => u64::MAX << first,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn exactly_the_blocks_without_a_mark_are_checked(
            count in 0usize..300,
            ranges in prop::collection::vec((0usize..300, 0usize..300), 0..8),
        ) {
            let blocks = GoodBlocks::none_of(count);
            let mut marked = vec![false; count];
            for (start, end) in ranges {
                let range = start.min(count)..end.clamp(start.min(count), count);
                let mut checked = Vec::new();
                let result = blocks.check_missing(range.clone(), |block| {
                    checked.push(block);
                    Ok::<(), ()>(())
                });
                prop_assert_eq!(result, Ok(()));
                let expected: Vec<usize> = range.filter(|&block| !marked[block]).collect();
                expected.iter().for_each(|&block| marked[block] = true);
                prop_assert_eq!(checked, expected);
                prop_assert_eq!(blocks.all(), marked.iter().all(|&mark| mark));
            }
        }

        #[test]
        fn a_block_that_fails_is_not_marked(count in 1usize..200, bad in 0usize..200) {
            let bad = bad % count;
            let blocks = GoodBlocks::none_of(count);
            let check = |block| if block == bad { Err(block) } else { Ok(()) };
            for _ in 0..2 {
                prop_assert_eq!(blocks.check_missing(0..count, check), Err(bad));
                prop_assert!(!blocks.all());
            }
            prop_assert_eq!(blocks.check_missing(0..bad, check), Ok(()));
            prop_assert_eq!(blocks.check_missing(bad + 1..count, check), Ok(()));
        }
    }

    #[test]
    fn many_threads_count_each_block_once() {
        let blocks = GoodBlocks::none_of(1_000);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let blocks = &blocks;
                scope.spawn(move || {
                    for start in (0..1_000).step_by(100 - thread * 7) {
                        let range = start..(start + 150).min(1_000);
                        blocks.check_missing(range, |_| Ok::<(), ()>(())).unwrap();
                    }
                });
            }
        });
        assert!(blocks.all());
        blocks.check_missing(0..1_000, Err).unwrap();
    }
}
