//! What an instruction set has to provide for scans of byte codes.

use crate::scan::positions::accepted;

use super::layout::TILE_ROWS;
use super::sink::Sink;

/// Most tiles that are multiplied side by side, in any tier: what a core's nearest cache holds
/// together with the queries, at usual dimensions.
pub(super) const MOST_TILES: usize = 4;
/// Most queries that are multiplied side by side, in any tier.
pub(super) const MOST_QUERIES: usize = 6;

/// A number for each row of a tile.
pub(super) type Lanes = [f32; TILE_ROWS];

/// Codes of rows, and what goes with them; checked to fit together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiles<'a> {
    pub(super) codes: &'a [u8],
    /// Bytes of a tile.
    pub(super) tile_len: usize,
    /// Rows; those that fill up the last tile are not counted.
    pub(super) count: usize,
    pub(super) factors: &'a [f32],
    pub(super) offsets: Option<&'a [f32]>,
    pub(super) slacks: Option<&'a [f32]>,
    pub(super) accept: Option<&'a [u64]>,
}

impl<'a> Tiles<'a> {
    /// How many there are.
    pub(super) fn tile_count(&self) -> usize {
        self.count.div_ceil(TILE_ROWS)
    }

    /// The codes of neighbouring tiles.
    #[inline(always)]
    pub(super) fn some_tiles(&self, first: usize, count: usize) -> &'a [u8] {
        &self.codes[first * self.tile_len..(first + count) * self.tile_len]
    }

    /// Which rows of a tile may come out.
    #[inline(always)]
    pub(super) fn accepted(&self, tile: usize) -> u32 {
        accepted::<TILE_ROWS>(self.accept, tile * TILE_ROWS, self.count)
    }

    /// The rows' numbers in a tile, zeros for rows that fill it up.
    #[inline(always)]
    pub(super) fn row_numbers(&self, tile: usize) -> RowNumbers {
        let first = tile * TILE_ROWS;
        let lanes = |numbers: &[f32]| match numbers[first..].first_chunk() {
            Some(whole) => *whole,
            None => {
                let mut lanes = [0.0; TILE_ROWS];
                lanes[..numbers.len() - first].copy_from_slice(&numbers[first..]);
                lanes
            }
        };
        RowNumbers {
            factors: lanes(self.factors),
            offsets: self.offsets.map_or([0.0; TILE_ROWS], lanes),
            slacks: self.slacks.map_or([0.0; TILE_ROWS], lanes),
        }
    }
}

/// What the score of a row depends on besides its codes, for each row of a tile.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowNumbers {
    pub(super) factors: Lanes,
    pub(super) offsets: Lanes,
    pub(super) slacks: Lanes,
}

/// A query of a scan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a> {
    /// Which it is, counted from the first of the scan.
    pub(super) number: usize,
    /// Its codes, four a number.
    pub(super) groups: &'a [i32],
    /// What sums start from: minus what the 128 that is added to each code of a row adds to them.
    pub(super) start: i32,
    /// What a row's factor is multiplied with.
    pub(super) weight: f32,
    pub(super) base: f32,
    pub(super) slack: f32,
}

/// The arithmetic of one instruction set. Each tier computes, for a row and a query,
///
/// ```text
/// score = fma(factor * weight, dot, offset + base)
/// upper = fma(slack of the row, slack of the query, score),  lower = fma(.., -.., score)
/// ```
///
/// in this order, so that all give the same bits.
pub(super) trait Tier: Copy {
    /// Queries side by side; at most [`MOST_QUERIES`].
    const QUERIES: usize;
    /// Tiles side by side, where there are so many: 1 or [`MOST_TILES`].
    const TILES: usize;

    /// One query with all tiles, from the first to the last.
    fn one_query(self, tiles: &Tiles<'_>, query: &Query<'_>, sink: &mut impl Sink);

    /// `Q` queries with the `T` tiles from number `first` on.
    fn some_queries<const Q: usize, const T: usize>(
        self,
        tiles: &Tiles<'_>,
        first: usize,
        queries: &[Query<'_>; Q],
        sink: &mut impl Sink,
    );
}
