//! Byte scans with AVX-512 VNNI: one instruction multiplies the 64 codes of a group with four codes
//! of a query and adds each row's four products to its lane.

use std::arch::x86_64::*;

use crate::isa::HasAvx512;

use super::layout::{GROUP_BYTES, TILE_ROWS};
use super::sink::Sink;
use super::tier::{Lanes, Query, Tier, Tiles};

/// Groups that one query goes through side by side, so that sums do not wait for each other.
const CHAINS: usize = 8;
/// How far ahead of the codes in use others are asked for. The processor's own prefetching stops at
/// the ends of pages.
const AHEAD: usize = 4096;

impl Tier for HasAvx512 {
    const QUERIES: usize = 6;
    const TILES: usize = 4;

    fn one_query(self, tiles: &Tiles<'_>, query: &Query<'_>, sink: &mut impl Sink) {
        // SAFETY: the token exists only where the processor has these features.
        unsafe { one_query(tiles, query, sink) }
    }

    fn some_queries<const Q: usize, const T: usize>(
        self,
        tiles: &Tiles<'_>,
        first: usize,
        queries: &[Query<'_>; Q],
        sink: &mut impl Sink,
    ) {
        // SAFETY: as above.
        unsafe { some_queries::<Q, T>(tiles, first, queries, sink) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn one_query(tiles: &Tiles<'_>, query: &Query<'_>, sink: &mut impl Sink) {
    for tile in (0..tiles.tile_count()).filter(|tile| tiles.accepted(*tile) != 0) {
        let dots = dots::<1, 1, CHAINS>(tiles, tile, &[*query]);
        offer(tiles, tile, &[*query], &dots, sink);
    }
}

/// `Q` queries with `T` tiles: as many chains of sums as there are pairs of these.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn some_queries<const Q: usize, const T: usize>(
    tiles: &Tiles<'_>,
    first: usize,
    queries: &[Query<'_>; Q],
    sink: &mut impl Sink,
) {
    let dots = dots::<Q, T, 1>(tiles, first, queries);
    offer(tiles, first, queries, &dots, sink);
}

/// The sums of products of each query's codes with those of each row of `T` tiles, in `C` chains that
/// are added at the end.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn dots<const Q: usize, const T: usize, const C: usize>(
    tiles: &Tiles<'_>,
    first: usize,
    queries: &[Query<'_>; Q],
) -> [[__m512i; T]; Q] {
    let groups = tiles.tile_len / GROUP_BYTES;
    assert!(queries.iter().all(|query| query.groups.len() == groups));
    let codes = tiles.some_tiles(first, T).as_ptr();
    let mut chains = [[[_mm512_setzero_si512(); T]; Q]; C];
    for (dots, query) in chains[0].iter_mut().zip(queries) {
        *dots = [_mm512_set1_epi32(query.start); T];
    }
    let mut add = |group: usize, chain: usize| {
        let mut of_tiles = [_mm512_setzero_si512(); T];
        for (t, of_tile) in of_tiles.iter_mut().enumerate() {
            // SAFETY: each of the T tiles has `groups` times 64 bytes, and `group` is less.
            unsafe {
                let from = codes.add(t * tiles.tile_len + group * GROUP_BYTES);
                if Q == 1 {
                    _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(AHEAD).cast());
                }
                *of_tile = _mm512_loadu_si512(from.cast());
            }
        }
        for (dots, query) in chains[chain].iter_mut().zip(queries) {
            // SAFETY: each query has as many groups, as was just checked.
            let four = _mm512_set1_epi32(unsafe { *query.groups.get_unchecked(group) });
            for (dot, of_tile) in dots.iter_mut().zip(of_tiles) {
                *dot = _mm512_dpbusd_epi32(*dot, of_tile, four);
            }
        }
    };
    let whole = groups - groups % C;
    for group in (0..whole).step_by(C) {
        for chain in 0..C {
            add(group + chain, chain);
        }
    }
    for group in whole..groups {
        add(group, 0);
    }
    let mut dots = chains[0];
    for chain in &chains[1..] {
        for (dots, chain) in dots.iter_mut().zip(chain) {
            for (dot, chain) in dots.iter_mut().zip(chain) {
                *dot = _mm512_add_epi32(*dot, *chain);
            }
        }
    }
    dots
}

/// What the scores of a tile's rows depend on besides their codes.
#[derive(Clone, Copy)]
struct RowVectors {
    factors: __m512,
    offsets: __m512,
    slacks: __m512,
}

impl RowVectors {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn none() -> Self {
        Self {
            factors: _mm512_setzero_ps(),
            offsets: _mm512_setzero_ps(),
            slacks: _mm512_setzero_ps(),
        }
    }

    /// The scores of the rows.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn scores(&self, dots: __m512i, query: &Query<'_>) -> __m512 {
        let factors = _mm512_mul_ps(self.factors, _mm512_set1_ps(query.weight));
        let start = _mm512_add_ps(self.offsets, _mm512_set1_ps(query.base));
        _mm512_fmadd_ps(factors, _mm512_cvtepi32_ps(dots), start)
    }

    /// Those of the accepted rows; others score negative infinity.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(tiles: &Tiles<'_>, tile: usize, accepted: __mmask16) -> Self {
        let load = |otherwise: __m512, values: Option<&[f32]>| match values {
            // SAFETY: an accepted row is below the count, which each slice has; a masked load does
            // not touch the others.
            Some(values) => unsafe {
                let from = values.as_ptr().wrapping_add(tile * TILE_ROWS);
                _mm512_mask_loadu_ps(otherwise, accepted, from)
            },
            None => _mm512_mask_mov_ps(otherwise, accepted, _mm512_setzero_ps()),
        };
        let zero = _mm512_setzero_ps();
        Self {
            factors: load(zero, Some(tiles.factors)),
            offsets: load(_mm512_set1_ps(f32::NEG_INFINITY), tiles.offsets),
            slacks: load(zero, tiles.slacks),
        }
    }
}

/// Offers the accepted rows of `T` tiles whose upper bound reaches the query's bar.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn offer<const Q: usize, const T: usize>(
    tiles: &Tiles<'_>,
    first: usize,
    queries: &[Query<'_>; Q],
    dots: &[[__m512i; T]; Q],
    sink: &mut impl Sink,
) {
    let accepted: [__mmask16; T] = std::array::from_fn(|t| tiles.accepted(first + t) as __mmask16);
    let mut rows = [RowVectors::none(); T];
    for (t, rows) in rows.iter_mut().enumerate() {
        *rows = RowVectors::load(tiles, first + t, accepted[t]);
    }
    for (dots, query) in dots.iter().zip(queries) {
        let bar = _mm512_set1_ps(sink.bar(query.number));
        let slack = _mm512_set1_ps(query.slack);
        let mut scores = [_mm512_setzero_ps(); T];
        // The greatest upper bound of each lane; a maximum is its second argument where one is NaN.
        let mut greatest = _mm512_set1_ps(f32::NEG_INFINITY);
        for t in 0..T {
            scores[t] = rows[t].scores(dots[t], query);
            let uppers = _mm512_fmadd_ps(rows[t].slacks, slack, scores[t]);
            greatest = _mm512_max_ps(uppers, greatest);
        }
        // One branch for all tiles.
        if _mm512_cmp_ps_mask::<_CMP_GE_OQ>(greatest, bar) == 0 {
            continue;
        }
        for t in 0..T {
            let uppers = _mm512_fmadd_ps(rows[t].slacks, slack, scores[t]);
            let passing = _mm512_mask_cmp_ps_mask::<_CMP_GE_OQ>(accepted[t], uppers, bar);
            if passing != 0 {
                let lowers = lanes(_mm512_fnmadd_ps(rows[t].slacks, slack, scores[t]));
                let (tile, lanes) = (first + t, lanes(uppers));
                sink.offer_lanes(query.number, tile, u32::from(passing), &lanes, &lowers);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn lanes(vector: __m512) -> Lanes {
    let mut lanes = [0.0; TILE_ROWS];
    // SAFETY: the array has 16 values.
    unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), vector) };
    lanes
}
