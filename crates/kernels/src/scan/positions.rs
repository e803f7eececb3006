//! Which positions of a list may come out, and as which rows.

use crate::shape::require_length;
use crate::{Error, Result};

/// The rows that the positions of a list stand for.
#[derive(Debug, Clone, Copy)]
pub enum RowIds<'a> {
    /// Position `i` is this row plus `i`.
    First(u32),
    /// Position `i` is the `i`-th of these rows.
    Listed(&'a [u32]),
}

impl RowIds<'_> {
    /// That there is a row for each position.
    pub(super) fn require(&self, count: usize) -> Result<()> {
        match self {
            RowIds::Listed(rows) => require_length("rows", count, rows.len()),
            RowIds::First(first) => {
                let rows = (u32::MAX - first) as usize;
                match count <= rows {
                    true => Ok(()),
                    false => Err(Error::OutOfRange {
                        argument: "count",
                        index: count,
                        count: rows,
                    }),
                }
            }
        }
    }

    /// The row of a position; only of those that [`require`](Self::require) has seen.
    #[inline(always)]
    pub(super) fn row(&self, position: usize) -> u32 {
        match self {
            RowIds::First(first) => first.wrapping_add(position as u32),
            RowIds::Listed(rows) => rows[position],
        }
    }
}

/// That a mask has a bit for each position.
pub(super) fn require_accept(accept: Option<&[u64]>, count: usize) -> Result<()> {
    match accept {
        Some(words) if words.len() < count.div_ceil(64) => Err(Error::Length {
            argument: "accept",
            expected: count.div_ceil(64),
            received: words.len(),
        }),
        _ => Ok(()),
    }
}

/// Which of the `N` positions from `first` on, a multiple of `N`, may come out: those before `count`
/// whose bit of the mask is set. `N` divides 64 and is less; the mask has `count` bits.
#[inline(always)]
pub(super) fn accepted<const N: usize>(accept: Option<&[u64]>, first: usize, count: usize) -> u32 {
    const { assert!(64 % N == 0 && N <= 32) };
    let here = count.saturating_sub(first).min(N);
    let real = ((1u64 << here) - 1) as u32;
    match accept {
        Some(words) => words
            .get(first / 64)
            .map_or(0, |word| (word >> (first % 64)) as u32 & real),
        None => real,
    }
}
