//! Byte scans with AVX2: a tile's 16 rows in two halves of eight.
//!
//! AVX2 multiplies unsigned with signed bytes and adds neighbours into 16-bit sums that saturate. So
//! the rows' codes become signed again, and their signs move to the query's: of magnitudes up to 127,
//! two products fit (2 * 127 * 127 = 32,258).

use std::arch::x86_64::*;

use crate::isa::HasAvx2;

use super::layout::{GROUP_BYTES, TILE_ROWS};
use super::sink::Sink;
use super::tier::{Lanes, Query, RowNumbers, Tier, Tiles};

/// Rows of a half: lanes of a vector.
const HALF: usize = 8;
/// Halves of a tile.
const HALVES: usize = TILE_ROWS / HALF;
/// As with AVX-512, how far ahead of the codes in use others are asked for.
const AHEAD: usize = 4096;

impl Tier for HasAvx2 {
    const QUERIES: usize = 3;
    const TILES: usize = 1;

    fn one_query(self, tiles: &Tiles<'_>, query: &Query<'_>, sink: &mut impl Sink) {
        for tile in 0..tiles.tile_count() {
            if tiles.accepted(tile) != 0 {
                // SAFETY: the token exists only where the processor has these features.
                unsafe { one_tile(tiles, tile, &[*query], sink) };
            }
        }
    }

    fn some_queries<const Q: usize, const T: usize>(
        self,
        tiles: &Tiles<'_>,
        first: usize,
        queries: &[Query<'_>; Q],
        sink: &mut impl Sink,
    ) {
        for tile in first..first + T {
            // SAFETY: as above.
            unsafe { one_tile(tiles, tile, queries, sink) };
        }
    }
}

#[target_feature(enable = "avx2,fma")]
fn one_tile<const Q: usize>(
    tiles: &Tiles<'_>,
    tile: usize,
    queries: &[Query<'_>; Q],
    sink: &mut impl Sink,
) {
    let dots = dots(tiles.some_tiles(tile, 1), queries);
    let rows = tiles.row_numbers(tile);
    let accepted = tiles.accepted(tile);
    for (dots, query) in dots.iter().zip(queries) {
        offer(&rows, tile, accepted, dots, query, sink);
    }
}

/// The sums of products of each query's codes with those of each row of a tile.
#[inline]
#[target_feature(enable = "avx2")]
fn dots<const Q: usize>(tile: &[u8], queries: &[Query<'_>; Q]) -> [[__m256i; HALVES]; Q] {
    let groups = tile.len() / GROUP_BYTES;
    assert!(queries.iter().all(|query| query.groups.len() == groups));
    let zero = _mm256_set1_epi8(-128);
    let ones = _mm256_set1_epi16(1);
    let mut dots = [[_mm256_setzero_si256(); HALVES]; Q];
    for group in 0..groups {
        let mut codes = [_mm256_setzero_si256(); HALVES];
        for (half, codes) in codes.iter_mut().enumerate() {
            // SAFETY: a group is 64 bytes, and the tile has `groups` of them.
            unsafe {
                let from = tile
                    .as_ptr()
                    .add(group * GROUP_BYTES + half * GROUP_BYTES / HALVES);
                _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(AHEAD).cast());
                *codes = _mm256_xor_si256(_mm256_loadu_si256(from.cast()), zero);
            }
        }
        for (dots, query) in dots.iter_mut().zip(queries) {
            // SAFETY: each query has as many groups, as was just checked.
            let four = _mm256_set1_epi32(unsafe { *query.groups.get_unchecked(group) });
            for (dot, codes) in dots.iter_mut().zip(codes) {
                let signed = _mm256_sign_epi8(four, codes);
                let products = _mm256_maddubs_epi16(_mm256_abs_epi8(codes), signed);
                *dot = _mm256_add_epi32(*dot, _mm256_madd_epi16(products, ones));
            }
        }
    }
    dots
}

/// Offers the accepted rows of a tile whose upper bound reaches the bar.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn offer(
    rows: &RowNumbers,
    tile: usize,
    accepted: u32,
    dots: &[__m256i; HALVES],
    query: &Query<'_>,
    sink: &mut impl Sink,
) {
    let weight = _mm256_set1_ps(query.weight);
    let (base, slack) = (_mm256_set1_ps(query.base), _mm256_set1_ps(query.slack));
    let bar = _mm256_set1_ps(sink.bar(query.number));
    let (mut uppers, mut lowers) = ([0.0; TILE_ROWS], [0.0; TILE_ROWS]);
    let mut passing = 0;
    for (half, dots) in dots.iter().enumerate() {
        let factors = _mm256_mul_ps(half_of(&rows.factors, half), weight);
        let start = _mm256_add_ps(half_of(&rows.offsets, half), base);
        let scores = _mm256_fmadd_ps(factors, _mm256_cvtepi32_ps(*dots), start);
        let slacks = half_of(&rows.slacks, half);
        let upper = _mm256_fmadd_ps(slacks, slack, scores);
        let reach = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(upper, bar));
        passing |= reach.cast_unsigned() << (half * HALF);
        store_half(&mut uppers, half, upper);
        store_half(&mut lowers, half, _mm256_fnmadd_ps(slacks, slack, scores));
    }
    if passing & accepted != 0 {
        sink.offer_lanes(query.number, tile, passing & accepted, &uppers, &lowers);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn half_of(lanes: &Lanes, half: usize) -> __m256 {
    let (halves, _) = lanes.as_chunks::<HALF>();
    // SAFETY: an array of 8 values.
    unsafe { _mm256_loadu_ps(halves[half].as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_half(lanes: &mut Lanes, half: usize, vector: __m256) {
    let (halves, _) = lanes.as_chunks_mut::<HALF>();
    // SAFETY: an array of 8 values.
    unsafe { _mm256_storeu_ps(halves[half].as_mut_ptr(), vector) };
}
