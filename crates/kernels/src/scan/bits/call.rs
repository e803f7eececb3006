//! Scans: one query with the rows of a list.

use crate::Result;
use crate::isa::Supported;
use crate::scan::positions::{RowIds, accepted, require_accept};
use crate::scan::shortlist::Shortlist;
use crate::shape::require_length;

#[cfg(target_arch = "x86_64")]
use super::layout::HALF_ROWS;
use super::layout::{BLOCK_ROWS, bit_block_len, blocks_len};
use super::query::BitQuery;
use super::scalar;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

/// A scan of rows' bit codes with one query. The score of row `r`, which is its upper and its lower
/// bound, is
///
/// ```text
/// offsets[r] + base + factors[r] * T
/// ```
///
/// where `T` is the sum of the query's components, signed by the row's bits, to within
/// [`BitQuery::error`]. With infinite numbers, or where a sum leaves the range of f32, scores are
/// infinite or NaN, and rows that score NaN never come out.
///
/// Rows are at positions from 0 to `count` of the codes, and come out as what `rows` says.
#[derive(Debug, Clone)]
pub struct BitScan<'a> {
    /// The query, rotated as the rows were.
    pub query: &'a BitQuery,
    /// The blocks of [`encode_bits`](crate::encode_bits), as many as `count` rows fill, of the
    /// query's dimension.
    pub codes: &'a [u8],
    /// How many rows there are.
    pub count: usize,
    /// A number a row.
    pub factors: &'a [f32],
    /// A number a row; zeros if there are none.
    pub offsets: Option<&'a [f32]>,
    /// A number of the query, or of the query and the list.
    pub base: f32,
    /// The rows that the positions stand for.
    pub rows: RowIds<'a>,
    /// Bit `i` says whether position `i` may come out; all may if there is no mask.
    pub accept: Option<&'a [u64]>,
}

impl BitScan<'_> {
    /// Offers to the shortlist the rows whose score reaches its bar.
    ///
    /// # Errors
    ///
    /// [`Error::Length`](crate::Error::Length) if a slice does not fit `count` or the query's
    /// dimension, [`Error::OutOfRange`](crate::Error::OutOfRange) if the rows' numbers exceed 32 bits.
    /// The shortlist is then as it was.
    pub fn run(&self, shortlist: &mut Shortlist) -> Result<()> {
        self.run_on(Supported::active(), shortlist)
    }

    pub(super) fn run_on(&self, cpu: Supported, shortlist: &mut Shortlist) -> Result<()> {
        self.check()?;
        match cpu {
            Supported::Scalar => scalar::scan(self, shortlist),
            #[cfg(target_arch = "x86_64")]
            Supported::Avx2(proof) => avx2::scan(proof, self, shortlist),
            #[cfg(target_arch = "x86_64")]
            Supported::Avx512(proof) => match proof.vbmi() {
                Some(proof) => avx512::scan(proof, self, shortlist),
                None => avx2::scan(proof.avx2(), self, shortlist),
            },
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let count = self.count;
        let code_bytes = blocks_len(count, self.query.dimension());
        require_length("codes", code_bytes, self.codes.len())?;
        require_length("factors", count, self.factors.len())?;
        require_length("offsets", count, self.offsets.map_or(count, <[f32]>::len))?;
        self.rows.require(count)?;
        require_accept(self.accept, count)
    }

    pub(super) fn block_count(&self) -> usize {
        self.count.div_ceil(BLOCK_ROWS)
    }

    /// The codes of some neighbouring blocks.
    #[inline(always)]
    pub(super) fn blocks(&self, first: usize, count: usize) -> &[u8] {
        let length = bit_block_len(self.query.dimension());
        &self.codes[first * length..(first + count) * length]
    }

    /// Which rows of a block may come out.
    #[inline(always)]
    pub(super) fn accepted(&self, block: usize) -> u32 {
        accepted::<BLOCK_ROWS>(self.accept, block * BLOCK_ROWS, self.count)
    }

    /// The numbers of half a block's rows, zeros for rows that fill it up.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn row_numbers(&self, numbers: Option<&[f32]>, first: usize) -> [f32; HALF_ROWS] {
        let numbers = numbers
            .and_then(|numbers| numbers.get(first..))
            .unwrap_or(&[]);
        match numbers.first_chunk() {
            Some(whole) => *whole,
            None => {
                let mut lanes = [0.0; HALF_ROWS];
                lanes[..numbers.len()].copy_from_slice(numbers);
                lanes
            }
        }
    }

    /// Offers those rows of half a block that a mask selects. The rare case of a scan, so that it stays
    /// out of its loop.
    #[cfg(target_arch = "x86_64")]
    #[cold]
    #[inline(never)]
    pub(super) fn offer_lanes(
        &self,
        first: usize,
        mut lanes: u32,
        scores: &[f32; HALF_ROWS],
        shortlist: &mut Shortlist,
    ) {
        while lanes != 0 {
            let lane = lanes.trailing_zeros() as usize % HALF_ROWS;
            let row = self.rows.row(first + lane);
            shortlist.offer(row, scores[lane], scores[lane]);
            lanes &= lanes - 1;
        }
    }
}
