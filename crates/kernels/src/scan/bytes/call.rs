//! Scans: many queries with many rows, checked and cut into what a tier multiplies side by side.

use std::ops::Range;

use crate::isa::Supported;
use crate::scan::positions::{RowIds, require_accept};
use crate::scan::shortlist::Shortlist;
use crate::shape::require_length;
use crate::simd::ScalarLanes;
use crate::{Error, Result};

use super::layout::{byte_tile_len, tiles_len};
use super::queries::ByteQueries;
use super::sink::{Nearest, Shortlists, Sink};
use super::tier::{MOST_QUERIES, MOST_TILES, Query, Tier, Tiles};

/// Queries that go through some tiles before the next tiles are read: so many that reading the
/// tiles from memory does not count, so few that their codes stay in a core's own cache.
const QUERY_BLOCK: usize = 240;

/// A scan of rows' byte codes with some queries. The score of query `q` and row `r` is
///
/// ```text
/// offsets[r] + bases[q] + factors[r] * (scale of q * gain) * (sum of products of their codes)
/// ```
///
/// and the score that it stands for lies at most `slack[q] * slacks[r]` from it. Both are computed in
/// f32: each of the five multiplications and additions is off by 2^-24 of its result at most, which
/// `slacks` have to make up for where bounds are meant to be strict. With infinite numbers, or where
/// a sum leaves the range of f32, scores are infinite or NaN, and rows that score NaN never come out.
///
/// Rows are at positions from 0 to `count` of the codes, and come out as what `rows` says. The scan
/// runs on the calling thread; several may share everything here.
#[derive(Debug, Clone)]
pub struct ByteScan<'a> {
    /// Where the queries are.
    pub queries: &'a ByteQueries,
    /// Which of them are scanned with. What has a value a query (`bases`, `slack`, the output) has one
    /// for each of these, the first first.
    pub range: Range<usize>,
    /// The tiles of [`encode_bytes`](crate::encode_bytes), as many as `count` rows fill, of the
    /// queries' dimension.
    pub codes: &'a [u8],
    /// How many rows there are.
    pub count: usize,
    /// A number a row: its scale, as a rule.
    pub factors: &'a [f32],
    /// A number a row; zeros if there are none.
    pub offsets: Option<&'a [f32]>,
    /// A number a row, not negative; zeros if there are none.
    pub slacks: Option<&'a [f32]>,
    /// A number a query; zeros if empty.
    pub bases: &'a [f32],
    /// What all products are multiplied with: 1 for inner products, 2 for squared distances.
    pub gain: f32,
    /// A number a query, not negative; zeros if empty.
    pub slack: &'a [f32],
    /// The rows that the positions stand for.
    pub rows: RowIds<'a>,
    /// Bit `i` says whether position `i` may come out; all may if there is no mask.
    pub accept: Option<&'a [u64]>,
}

impl ByteScan<'_> {
    /// Offers to each query's shortlist the rows whose upper bound reaches its bar.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if there are no such queries, or if the rows' numbers exceed 32 bits;
    /// [`Error::Length`] if a slice does not fit `count`, the queries or their dimension. The
    /// shortlists are then as they were.
    pub fn run(&self, shortlists: &mut [Shortlist]) -> Result<()> {
        self.run_on(Supported::active(), shortlists)
    }

    pub(super) fn run_on(&self, cpu: Supported, shortlists: &mut [Shortlist]) -> Result<()> {
        self.check()?;
        require_length("shortlists", self.range.len(), shortlists.len())?;
        let rows = self.rows;
        self.dispatch(cpu, &mut Shortlists { shortlists, rows });
        Ok(())
    }

    pub(super) fn nearest_on(&self, cpu: Supported, nearest: &mut [(u32, f32)]) -> Result<()> {
        self.check()?;
        require_length("nearest", self.range.len(), nearest.len())?;
        nearest.fill(Nearest::NONE);
        let (best, rows) = (nearest, self.rows);
        self.dispatch(cpu, &mut Nearest { best, rows });
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let (range, count) = (&self.range, self.count);
        if range.start > range.end || range.end > self.queries.len() {
            return Err(Error::OutOfRange {
                argument: "range",
                index: range.start.max(range.end),
                count: self.queries.len(),
            });
        }
        let code_bytes = tiles_len(count, self.queries.dimension());
        require_length("codes", code_bytes, self.codes.len())?;
        require_length("factors", count, self.factors.len())?;
        require_length("offsets", count, self.offsets.map_or(count, <[f32]>::len))?;
        require_length("slacks", count, self.slacks.map_or(count, <[f32]>::len))?;
        for (argument, values) in [("bases", self.bases), ("slack", self.slack)] {
            if !values.is_empty() {
                require_length(argument, range.len(), values.len())?;
            }
        }
        self.rows.require(count)?;
        require_accept(self.accept, count)
    }

    fn dispatch(&self, cpu: Supported, sink: &mut impl Sink) {
        match cpu {
            Supported::Scalar => self.scan(ScalarLanes, sink),
            #[cfg(target_arch = "x86_64")]
            Supported::Avx2(proof) => self.scan(proof, sink),
            #[cfg(target_arch = "x86_64")]
            Supported::Avx512(proof) => self.scan(proof, sink),
        }
    }

    /// All queries with all tiles, compiled for a tier.
    fn scan<T: Tier>(&self, tier: T, sink: &mut impl Sink) {
        let tiles = self.tiles();
        if self.range.len() == 1 {
            return tier.one_query(&tiles, &self.query(0), sink);
        }
        let tile_count = tiles.tile_count();
        let queries: Vec<Query<'_>> = (0..self.range.len()).map(|q| self.query(q)).collect();
        for queries in queries.chunks(QUERY_BLOCK) {
            let mut tile = 0;
            while tile < tile_count {
                tile += match T::TILES.min(tile_count - tile) {
                    MOST_TILES.. => some_tiles::<T, MOST_TILES>(tier, &tiles, tile, queries, sink),
                    _ => some_tiles::<T, 1>(tier, &tiles, tile, queries, sink),
                };
            }
        }
    }

    fn tiles(&self) -> Tiles<'_> {
        Tiles {
            codes: self.codes,
            tile_len: byte_tile_len(self.queries.dimension()),
            count: self.count,
            factors: self.factors,
            offsets: self.offsets,
            slacks: self.slacks,
            accept: self.accept,
        }
    }

    /// A query, counted from the first of the range.
    #[inline(always)]
    fn query(&self, number: usize) -> Query<'_> {
        let quantised = self.queries.quantised(self.range.start + number);
        Query {
            number,
            groups: self.queries.groups(self.range.start + number),
            start: -128 * quantised.sum,
            weight: quantised.scale * self.gain,
            base: self.bases.get(number).copied().unwrap_or(0.0),
            slack: self.slack.get(number).copied().unwrap_or(0.0),
        }
    }
}

/// Some queries with `N` tiles, as many queries at once as the tier takes; fewer at the end, for each
/// number of which the product is compiled. Returns `N`.
fn some_tiles<T: Tier, const N: usize>(
    tier: T,
    tiles: &Tiles<'_>,
    first: usize,
    queries: &[Query<'_>],
    sink: &mut impl Sink,
) -> usize {
    const { assert!(T::QUERIES <= MOST_QUERIES && T::TILES <= MOST_TILES) };
    if (first..first + N).all(|tile| tiles.accepted(tile) == 0) {
        return N;
    }
    macro_rules! product {
        ($queries:expr, $($count:literal)*) => {
            match $queries.len() {
                $($count => if let Some(queries) = $queries.first_chunk() {
                    tier.some_queries::<$count, N>(tiles, first, queries, sink);
                },)*
                _ => {}
            }
        };
    }
    for queries in queries.chunks(T::QUERIES) {
        product!(queries, 1 2 3 4 5 6);
    }
    N
}

/// Finds, for each query of a scan, the row with the greatest score, and that score; of rows that
/// score equally, the one with the least number. Slacks count for nothing. Where no row comes out,
/// because there are none, none is accepted or all score NaN, it is row `u32::MAX` with negative
/// infinity.
///
/// # Errors
///
/// As [`ByteScan::run`]; `nearest` is then as it was.
pub fn nearest_bytes(scan: &ByteScan<'_>, nearest: &mut [(u32, f32)]) -> Result<()> {
    let scan = ByteScan {
        slacks: None,
        slack: &[],
        ..scan.clone()
    };
    scan.nearest_on(Supported::active(), nearest)
}
