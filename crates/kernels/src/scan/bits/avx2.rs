//! Bit scans with AVX2: half a line, two tables, at a time.
//!
//! Entries of tables are bytes, and sums need more. Adding vectors of entries as if they were 16-bit
//! numbers sums the even bytes and 256 times the odd ones; adding them shifted by 8 bits sums the odd
//! ones alone; the difference tells the even ones, whatever has overflowed, as long as their sum fits
//! in 16 bits.

use std::arch::x86_64::*;

use crate::isa::HasAvx2;
use crate::scan::shortlist::Shortlist;

use super::call::BitScan;
use super::layout::{BLOCK_ROWS, HALF_ROWS, LINE_BYTES};
use super::query::LineTables;

/// Lines whose entries are summed in 16 bits: 128 * 2 * 255 < 2^16.
const LINES: usize = 128;
/// Lanes of a vector.
const LANES: usize = 8;
/// Vectors of the sums of a block.
const VECTORS: usize = BLOCK_ROWS / LANES;

pub(super) fn scan(_: HasAvx2, scan: &BitScan<'_>, shortlist: &mut Shortlist) {
    // SAFETY: the token exists only where the processor has these features.
    unsafe { all_blocks(scan, shortlist) }
}

#[target_feature(enable = "avx2,fma")]
fn all_blocks(scan: &BitScan<'_>, shortlist: &mut Shortlist) {
    for block in 0..scan.block_count() {
        let accepted = scan.accepted(block);
        if accepted == 0 {
            continue;
        }
        let sums = sums(scan.blocks(block, 1), scan.query.tables());
        for half in 0..2 {
            let position = block * BLOCK_ROWS + half * HALF_ROWS;
            let accepted = accepted >> (half * HALF_ROWS) & 0xffff;
            offer(
                scan,
                position,
                accepted,
                [sums[2 * half], sums[2 * half + 1]],
                shortlist,
            );
        }
    }
}

/// The sums of table entries that the rows of a block choose.
#[inline]
#[target_feature(enable = "avx2")]
fn sums(block: &[u8], tables: &[LineTables]) -> [__m256i; VECTORS] {
    let mut sums = [_mm256_setzero_si256(); VECTORS];
    let (lines, _) = block.as_chunks::<LINE_BYTES>();
    for (lines, tables) in lines.chunks(LINES).zip(tables.chunks(LINES)) {
        let mut low = Sixteen::zero();
        let mut high = Sixteen::zero();
        for (line, LineTables(tables)) in lines.iter().zip(tables) {
            for half in 0..2 {
                let (codes, tables) = (half_line(line, half), half_line(tables, half));
                low.add(chosen(tables, codes));
                high.add(chosen(tables, _mm256_srli_epi16::<4>(codes)));
            }
        }
        let added = [low.rows(), high.rows()];
        for (sum, added) in sums.iter_mut().zip(added.as_flattened()) {
            *sum = _mm256_add_epi32(*sum, *added);
        }
    }
    sums
}

/// Half of 64 bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn half_line(line: &[u8; LINE_BYTES], half: usize) -> __m256i {
    let (halves, _) = line.as_chunks::<{ LINE_BYTES / 2 }>();
    // SAFETY: an array of 32 bytes.
    unsafe { _mm256_loadu_si256(halves[half].as_ptr().cast()) }
}

/// The entries that the low halves of bytes choose from the table of their lane.
#[inline]
#[target_feature(enable = "avx2")]
fn chosen(tables: __m256i, codes: __m256i) -> __m256i {
    _mm256_shuffle_epi8(tables, _mm256_and_si256(codes, _mm256_set1_epi8(15)))
}

/// Sums of entries for 16 rows, apart for the tables of the lower and the higher lane.
struct Sixteen {
    /// Of even rows, and 256 times those of odd ones; without what overflowed.
    both: __m256i,
    /// Of odd rows.
    odd: __m256i,
}

impl Sixteen {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn zero() -> Self {
        Self {
            both: _mm256_setzero_si256(),
            odd: _mm256_setzero_si256(),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn add(&mut self, entries: __m256i) {
        self.both = _mm256_add_epi16(self.both, entries);
        self.odd = _mm256_add_epi16(self.odd, _mm256_srli_epi16::<8>(entries));
    }

    /// The sums over both lanes, of the first eight rows and of the last.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn rows(&self) -> [__m256i; 2] {
        let even = over_lanes(_mm256_sub_epi16(
            self.both,
            _mm256_slli_epi16::<8>(self.odd),
        ));
        let odd = over_lanes(self.odd);
        let inner = _mm256_unpacklo_epi32(even, odd);
        let outer = _mm256_unpackhi_epi32(even, odd);
        [
            _mm256_permute2x128_si256::<0x20>(inner, outer),
            _mm256_permute2x128_si256::<0x31>(inner, outer),
        ]
    }
}

/// The two lanes' 16-bit numbers, added in 32 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn over_lanes(sums: __m256i) -> __m256i {
    let low = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(sums));
    let high = _mm256_cvtepu16_epi32(_mm256_extracti128_si256::<1>(sums));
    _mm256_add_epi32(low, high)
}

/// Offers the rows of half a block whose score reaches the bar.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn offer(
    scan: &BitScan<'_>,
    position: usize,
    accepted: u32,
    sums: [__m256i; 2],
    shortlist: &mut Shortlist,
) {
    let factors = scan.row_numbers(Some(scan.factors), position);
    let offsets = scan.row_numbers(scan.offsets, position);
    let (base, scale) = (
        _mm256_set1_ps(scan.base),
        _mm256_set1_ps(scan.query.scale()),
    );
    let zeros = _mm256_set1_epi32(scan.query.zeros());
    let bar = _mm256_set1_ps(shortlist.bar());
    let mut lanes = [0.0; HALF_ROWS];
    let mut passing = 0;
    for (part, sums) in sums.into_iter().enumerate() {
        let at = part * LANES;
        // SAFETY: the arrays have 16 values, and `at` is 0 or 8.
        let load = |values: &[f32; HALF_ROWS]| unsafe { _mm256_loadu_ps(values.as_ptr().add(at)) };
        let start = _mm256_add_ps(load(&offsets), base);
        let t = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(sums, zeros)), scale);
        let scores = _mm256_fmadd_ps(load(&factors), t, start);
        let reach = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(scores, bar));
        passing |= reach.cast_unsigned() << at;
        // SAFETY: as above.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr().add(at), scores) };
    }
    if passing & accepted != 0 {
        scan.offer_lanes(position, passing & accepted, &lanes, shortlist);
    }
}
