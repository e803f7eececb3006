//! Products with AVX2: a tile's 16 rows in two halves of eight.
//!
//! AVX2 multiplies unsigned with signed bytes and adds neighbours into 16-bit sums that saturate.
//! Codes of up to 6 bits leave room for several such sums before they have to be widened: with
//! activations of at most 127, 8 steps of 4-bit codes (8 * 2 * 15 * 127 = 30,480), 4 of 5-bit and 2
//! of 6-bit ones stay under 32,768. Codes of 8 bits are signed: their sign moves to the activation,
//! and one step (2 * 128 * 127 = 32,512) fits.

use std::arch::x86_64::*;

use crate::isa::HasAvx2;

use super::layout::{Layout, STEP_BYTES, STEPS, TILE_ROWS, Tile};
use super::panel::PanelBlock;
use super::prefetch::prefetch_after;
use super::rows::RowBlock;
use super::tier::{Sums, Tier};

/// Rows of a half: lanes of a vector.
const HALF: usize = 8;
/// Halves of a tile.
const HALVES: usize = TILE_ROWS / HALF;

impl Tier for HasAvx2 {
    const FEW: usize = 2;
    const IN_PLACE: usize = 1;
    const TOKENS: usize = 3;
    const PANELS: usize = 1;
    const SIGNED_BYTES: bool = true;

    #[inline]
    fn in_place<L: Layout, const N: usize>(
        self,
        tile: Tile<'_>,
        rows: [&[RowBlock]; N],
        start: &Sums,
    ) -> [Sums; N] {
        // SAFETY: the token exists only where the processor has these features.
        rows.map(|row| unsafe { vector::<L>(tile, row, start) })
    }

    fn unpack<L: Layout>(self, tile: Tile<'_>, panel: &mut [PanelBlock]) {
        // SAFETY: as above.
        unsafe { unpack::<L>(tile, panel) }
    }

    #[inline]
    fn panels<L: Layout, const P: usize, const T: usize>(
        self,
        panels: [&[PanelBlock]; P],
        rows: [&[RowBlock]; T],
        starts: &[Sums; P],
    ) -> [[Sums; P]; T] {
        let mut sums = [[[0.0; TILE_ROWS]; P]; T];
        for (p, panel) in panels.into_iter().enumerate() {
            for half in 0..HALVES {
                // SAFETY: as above.
                let part = unsafe { half_panel::<L, T>(panel, half, rows, &starts[p]) };
                for (sums, part) in sums.iter_mut().zip(part) {
                    sums[p][half * HALF..(half + 1) * HALF].copy_from_slice(&part);
                }
            }
        }
        sums
    }
}

/// Steps whose 16-bit sums may be added before they are widened.
const fn steps_at_once<L: Layout>() -> usize {
    match L::BITS {
        4 => 8,
        5 => 4,
        6 => 2,
        _ => 1,
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn vector<L: Layout>(tile: Tile<'_>, row: &[RowBlock], start: &Sums) -> Sums {
    assert!(tile.fits::<L>(row.len()));
    let mut totals = [half_of(start, 0), half_of(start, 1)];
    for (index, block) in row.iter().enumerate() {
        prefetch_after::<L>(&tile, row.len(), index);
        for (half, total) in totals.iter_mut().enumerate() {
            // SAFETY: the planes have this block, as was just checked.
            let steps = unsafe { unpack_block::<L>(&tile, index, half) };
            for group in 0..L::GROUPS {
                let whole = dot::<L>(&steps, block, group);
                let at = index * L::GROUPS + group;
                // SAFETY: as above.
                let (scales, minimums) = unsafe { scales_and_minimums::<L>(&tile, at, half) };
                *total = added::<L>(*total, whole, scales, minimums, block, group);
            }
        }
    }
    let mut sums = [0.0; TILE_ROWS];
    for (half, total) in totals.into_iter().enumerate() {
        sums[half * HALF..(half + 1) * HALF].copy_from_slice(&lanes(total));
    }
    sums
}

/// `total` and what a group adds to it.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn added<L: Layout>(
    total: __m256,
    whole: __m256i,
    scales: __m256,
    minimums: __m256,
    block: &RowBlock,
    group: usize,
) -> __m256 {
    let scaled = _mm256_mul_ps(scales, _mm256_set1_ps(block.scale));
    let row_sum = _mm256_set1_ps(block.group_sum::<L>(group));
    let total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole), scaled, total);
    _mm256_fmadd_ps(minimums, row_sum, total)
}

#[inline]
#[target_feature(enable = "avx2")]
fn lanes(vector: __m256) -> [f32; HALF] {
    let mut lanes = [0.0; HALF];
    // SAFETY: the array has 8 values.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), vector) };
    lanes
}

/// Four activations, in each lane.
#[inline]
#[target_feature(enable = "avx2")]
fn broadcast(block: &RowBlock, step: usize) -> __m256i {
    _mm256_set1_epi32(block.four_codes(step))
}

/// The sums of a group's steps.
#[inline]
#[target_feature(enable = "avx2")]
fn dot<L: Layout>(steps: &[__m256i; STEPS], activations: &RowBlock, group: usize) -> __m256i {
    let count = STEPS / L::GROUPS;
    let mut sum = _mm256_setzero_si256();
    let mut narrow = _mm256_setzero_si256();
    for (step, codes) in steps.iter().enumerate().skip(group * count).take(count) {
        let products = products::<L>(*codes, broadcast(activations, step));
        narrow = _mm256_add_epi16(narrow, products);
        if (step + 1).is_multiple_of(steps_at_once::<L>()) {
            sum = _mm256_add_epi32(sum, widened(narrow));
            narrow = _mm256_setzero_si256();
        }
    }
    sum
}

/// Products of codes with activations, neighbours added, in 16 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn products<L: Layout>(codes: __m256i, activations: __m256i) -> __m256i {
    if L::BITS == 8 {
        let signed = _mm256_sign_epi8(activations, codes);
        return _mm256_maddubs_epi16(_mm256_abs_epi8(codes), signed);
    }
    _mm256_maddubs_epi16(codes, activations)
}

/// Neighbouring 16-bit sums, added in 32 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn widened(narrow: __m256i) -> __m256i {
    _mm256_madd_epi16(narrow, _mm256_set1_epi16(1))
}

/// The steps of half a block, a byte a code; 8-bit codes stay signed.
///
/// # Safety
///
/// The planes have the block.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn unpack_block<L: Layout>(tile: &Tile<'_>, block: usize, half: usize) -> [__m256i; STEPS] {
    let at = half * STEP_BYTES / 2;
    // SAFETY: for each call: the caller promises that the planes have the block, and each of its
    // vectors has 64 bytes, 32 of them for a half.
    let load = |plane: &[u8], start: usize, vector: usize| unsafe {
        let from = plane.as_ptr().add(start + vector * STEP_BYTES + at);
        _mm256_loadu_si256(from.cast())
    };
    let codes = |vector| load(tile.codes, block * L::CODE_BYTES, vector);
    let mut steps = [_mm256_setzero_si256(); STEPS];
    if L::BITS == 8 {
        for (step, to) in steps.iter_mut().enumerate() {
            *to = codes(step);
        }
        return steps;
    }
    let low = _mm256_set1_epi8(15);
    for pair in 0..STEPS / 2 {
        let both = codes(pair);
        steps[2 * pair] = _mm256_and_si256(both, low);
        steps[2 * pair + 1] = _mm256_and_si256(_mm256_srli_epi16::<4>(both), low);
    }
    let highs = |vector| load(tile.highs, block * L::HIGH_BYTES, vector);
    if L::BITS == 5 {
        add_fifth_bits(&mut steps, highs(0));
    }
    if L::BITS == 6 {
        let (first, second) = steps.split_at_mut(STEPS / 2);
        add_high_pairs(first, highs(0));
        add_high_pairs(second, highs(1));
    }
    steps
}

/// Moves bit `s` of each byte to bit 4 of step `s`.
#[inline]
#[target_feature(enable = "avx2")]
fn add_fifth_bits(steps: &mut [__m256i; STEPS], highs: __m256i) {
    let bit = _mm256_set1_epi8(16);
    let moved = [
        _mm256_slli_epi16::<4>(highs),
        _mm256_slli_epi16::<3>(highs),
        _mm256_slli_epi16::<2>(highs),
        _mm256_slli_epi16::<1>(highs),
        highs,
        _mm256_srli_epi16::<1>(highs),
        _mm256_srli_epi16::<2>(highs),
        _mm256_srli_epi16::<3>(highs),
    ];
    for (step, moved) in steps.iter_mut().zip(moved) {
        *step = _mm256_or_si256(*step, _mm256_and_si256(moved, bit));
    }
}

/// Moves bits `2 f` and `2 f + 1` of each byte to bits 4 and 5 of the `f`-th step.
#[inline]
#[target_feature(enable = "avx2")]
fn add_high_pairs(steps: &mut [__m256i], highs: __m256i) {
    let bits = _mm256_set1_epi8(48);
    let moved = [
        _mm256_slli_epi16::<4>(highs),
        _mm256_slli_epi16::<2>(highs),
        highs,
        _mm256_srli_epi16::<2>(highs),
    ];
    for (step, moved) in steps.iter_mut().zip(moved) {
        *step = _mm256_or_si256(*step, _mm256_and_si256(moved, bits));
    }
}

/// Scales and minimums of a group.
///
/// # Safety
///
/// The planes have the group.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn scales_and_minimums<L: Layout>(
    tile: &Tile<'_>,
    group: usize,
    half: usize,
) -> (__m256, __m256) {
    let at = (group * TILE_ROWS + half * HALF) * 2;
    // SAFETY: the caller promises that the planes have the group, 16 bytes a half.
    let load =
        |plane: &[u8]| unsafe { _mm256_cvtph_ps(_mm_loadu_si128(plane.as_ptr().add(at).cast())) };
    let scales = load(tile.scales);
    if L::HAS_MINIMUMS {
        return (scales, load(tile.minimums));
    }
    (scales, _mm256_mul_ps(scales, _mm256_set1_ps(-L::ZERO)))
}

#[target_feature(enable = "avx2,fma,f16c")]
fn unpack<L: Layout>(tile: Tile<'_>, panel: &mut [PanelBlock]) {
    assert!(tile.fits::<L>(panel.len()));
    for (index, block) in panel.iter_mut().enumerate() {
        for half in 0..HALVES {
            // SAFETY: the tile has the block, as was just checked; half of an array of 64 bytes or
            // of 16 f32 is one vector.
            unsafe {
                let steps = unpack_block::<L>(&tile, index, half);
                for (to, codes) in block.codes.iter_mut().zip(steps) {
                    let to = to.as_mut_ptr().add(half * STEP_BYTES / 2);
                    _mm256_storeu_si256(to.cast(), codes);
                }
                for group in 0..L::GROUPS {
                    let at = index * L::GROUPS + group;
                    let (scales, minimums) = scales_and_minimums::<L>(&tile, at, half);
                    let at = half * HALF;
                    _mm256_storeu_ps(block.scales[group].as_mut_ptr().add(at), scales);
                    _mm256_storeu_ps(block.minimums[group].as_mut_ptr().add(at), minimums);
                }
            }
        }
    }
}

/// `T` rows with half the rows of a panel.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn half_panel<L: Layout, const T: usize>(
    panel: &[PanelBlock],
    half: usize,
    rows: [&[RowBlock]; T],
    start: &Sums,
) -> [[f32; HALF]; T] {
    let blocks = rows.iter().map(|row| row.len()).min().unwrap_or(0);
    let mut totals = [half_of(start, half); T];
    for (index, weights) in panel.iter().enumerate().take(blocks) {
        // SAFETY: no row has fewer blocks.
        let activations = rows.map(|row| unsafe { row.get_unchecked(index) });
        for group in 0..L::GROUPS {
            let whole = multiply_group::<L, T>(weights, activations, group, half);
            let scales = half_of(&weights.scales[group], half);
            let minimums = half_of(&weights.minimums[group], half);
            for t in 0..T {
                totals[t] =
                    added::<L>(totals[t], whole[t], scales, minimums, activations[t], group);
            }
        }
    }
    let mut sums = [[0.0; HALF]; T];
    for (sums, total) in sums.iter_mut().zip(totals) {
        *sums = lanes(total);
    }
    sums
}

/// The sums of a group's steps, for each row.
#[inline]
#[target_feature(enable = "avx2")]
fn multiply_group<L: Layout, const T: usize>(
    weights: &PanelBlock,
    activations: [&RowBlock; T],
    group: usize,
    half: usize,
) -> [__m256i; T] {
    let steps = STEPS / L::GROUPS;
    let mut whole = [_mm256_setzero_si256(); T];
    let mut narrow = [_mm256_setzero_si256(); T];
    for step in group * steps..(group + 1) * steps {
        // SAFETY: half of an array of 64 bytes.
        let codes = unsafe {
            let from = weights.codes[step].as_ptr().add(half * STEP_BYTES / 2);
            _mm256_loadu_si256(from.cast())
        };
        for t in 0..T {
            let products = products::<L>(codes, broadcast(activations[t], step));
            narrow[t] = _mm256_add_epi16(narrow[t], products);
        }
        if (step + 1).is_multiple_of(steps_at_once::<L>()) {
            for t in 0..T {
                whole[t] = _mm256_add_epi32(whole[t], widened(narrow[t]));
                narrow[t] = _mm256_setzero_si256();
            }
        }
    }
    whole
}

/// Half of 16 values; `half` is 0 or 1.
#[inline]
#[target_feature(enable = "avx2")]
fn half_of(lanes: &Sums, half: usize) -> __m256 {
    let (halves, _) = lanes.as_chunks::<HALF>();
    // SAFETY: an array of 8 values.
    unsafe { _mm256_loadu_ps(halves[half].as_ptr()) }
}
