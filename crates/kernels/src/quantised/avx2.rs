//! Products with AVX2, in two halves of eight rows.
//!
//! AVX2 multiplies unsigned with signed bytes and adds neighbours into 16-bit sums that saturate.
//! Codes of up to 6 bits leave room for several such sums before they have to be widened: with
//! activations of at most 127, 8 steps of 4-bit codes (8 * 2 * 15 * 127 = 30,480), 4 of 5-bit and 2
//! of 6-bit ones stay under 32,768. Codes of 8 bits are signed: their sign moves to the activation,
//! and one step (2 * 128 * 127 = 32,512) fits.

use std::arch::x86_64::*;

use crate::isa::HasAvx2;

use super::layout::{BLOCK, Layout, STEP_BYTES, STEPS, TILE_ROWS, Tile};
use super::panel::Panel;
use super::rows::Row;
use super::tier::{Sums, Tier};

/// Rows of a half: lanes of a vector.
const HALF: usize = 8;

impl Tier for HasAvx2 {
    const TOKENS: usize = 3;
    const PANELS: usize = 1;

    fn vector<L: Layout>(self, tile: Tile<'_>, row: Row<'_>) -> Sums {
        // SAFETY: the token exists only where the processor has these features.
        unsafe { vector::<L>(tile, row) }
    }

    fn unpack<L: Layout>(self, tile: Tile<'_>, panel: &mut Panel) {
        // SAFETY: as above.
        unsafe { unpack::<L>(tile, panel) }
    }

    fn panels<L: Layout, const P: usize, const T: usize>(
        self,
        panels_: [&Panel; P],
        rows: [Row<'_>; T],
        sums: &mut [[Sums; P]; T],
    ) {
        for (p, panel) in panels_.into_iter().enumerate() {
            for half in 0..TILE_ROWS / HALF {
                // SAFETY: as above.
                unsafe { half_panel::<L, P, T>(panel, half, rows, sums, p) }
            }
        }
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
fn vector<L: Layout>(tile: Tile<'_>, row: Row<'_>) -> Sums {
    let blocks = tile.codes.len() / L::CODE_BYTES;
    assert!(row.fits::<L>(blocks) && tile.fits::<L>(blocks));
    let mut totals = [_mm256_setzero_ps(); TILE_ROWS / HALF];
    for block in 0..blocks {
        for (half, total) in totals.iter_mut().enumerate() {
            // SAFETY: the planes and the row have this block, as was just checked.
            unsafe {
                let steps = unpack_block::<L>(&tile, block, half);
                let activations = row.codes.as_ptr().add(block * BLOCK);
                let scale = _mm256_set1_ps(*row.scales.get_unchecked(block));
                for group in 0..L::GROUPS {
                    let whole = dot::<L>(&steps, activations, group);
                    let at = block * L::GROUPS + group;
                    let (scales, minimums) = scales_and_minimums::<L>(&tile, at, half);
                    let row_sum = _mm256_set1_ps(*row.sums.get_unchecked(at));
                    let scaled = _mm256_mul_ps(scales, scale);
                    *total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole), scaled, *total);
                    *total = _mm256_fmadd_ps(minimums, row_sum, *total);
                }
            }
        }
    }
    let mut sums = [0.0; TILE_ROWS];
    for (half, total) in totals.into_iter().enumerate() {
        // SAFETY: the array has 16 values, a half has 8.
        unsafe { _mm256_storeu_ps(sums.as_mut_ptr().add(half * HALF), total) };
    }
    sums
}

/// # Safety
///
/// `activations` has the 32 codes of a block.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn dot<L: Layout>(
    steps: &[__m256i; STEPS],
    activations: *const i8,
    group: usize,
) -> __m256i {
    let count = STEPS / L::GROUPS;
    let mut sum = _mm256_setzero_si256();
    let mut narrow = _mm256_setzero_si256();
    for step in group * count..(group + 1) * count {
        // SAFETY: four codes from `4 * step` on are in the block.
        let four = unsafe { activations.add(step * 4).cast::<i32>().read_unaligned() };
        narrow = _mm256_add_epi16(narrow, products::<L>(steps[step], _mm256_set1_epi32(four)));
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
fn unpack<L: Layout>(tile: Tile<'_>, panel: &mut Panel) {
    let blocks = tile.codes.len() / L::CODE_BYTES;
    assert!(tile.fits::<L>(blocks) && panel.has_room_for::<L>(blocks));
    for block in 0..blocks {
        for half in 0..TILE_ROWS / HALF {
            // SAFETY: the tile has the block and the panel room for it, as was just checked.
            unsafe {
                let to = panel.codes.as_mut_ptr().add(block * STEPS * STEP_BYTES);
                for (step, codes) in unpack_block::<L>(&tile, block, half)
                    .into_iter()
                    .enumerate()
                {
                    let to = to.add(step * STEP_BYTES + half * STEP_BYTES / 2);
                    _mm256_storeu_si256(to.cast(), codes);
                }
                for group in block * L::GROUPS..(block + 1) * L::GROUPS {
                    let (scales, minimums) = scales_and_minimums::<L>(&tile, group, half);
                    let at = group * TILE_ROWS + half * HALF;
                    _mm256_storeu_ps(panel.scales.as_mut_ptr().add(at), scales);
                    _mm256_storeu_ps(panel.minimums.as_mut_ptr().add(at), minimums);
                }
            }
        }
    }
    panel.blocks = blocks;
}

/// `T` rows with half the rows of a panel. Sums stay in memory between groups: the registers hold
/// the whole numbers of a group.
#[target_feature(enable = "avx2,fma")]
fn half_panel<L: Layout, const P: usize, const T: usize>(
    panel: &Panel,
    half: usize,
    rows: [Row<'_>; T],
    sums: &mut [[Sums; P]; T],
    p: usize,
) {
    assert!(panel.has_room_for::<L>(panel.blocks) && p < P && half < TILE_ROWS / HALF);
    assert!(rows.iter().all(|row| row.fits::<L>(panel.blocks)));
    let steps = STEPS / L::GROUPS;
    let mut totals = [_mm256_setzero_ps(); T];
    for t in 0..T {
        // SAFETY: an array of 16 values, a half has 8.
        totals[t] = unsafe { _mm256_loadu_ps(sums[t][p].as_ptr().add(half * HALF)) };
    }
    for group in 0..panel.blocks * L::GROUPS {
        // SAFETY: panel and rows have the blocks, as was checked, and so the group and its steps.
        unsafe {
            let mut whole = [_mm256_setzero_si256(); T];
            let mut narrow = [_mm256_setzero_si256(); T];
            for step in group * steps..(group + 1) * steps {
                let at = step * STEP_BYTES + half * STEP_BYTES / 2;
                let codes = _mm256_loadu_si256(panel.codes.as_ptr().add(at).cast());
                for t in 0..T {
                    let four = rows[t]
                        .codes
                        .as_ptr()
                        .add(step * 4)
                        .cast::<i32>()
                        .read_unaligned();
                    let products = products::<L>(codes, _mm256_set1_epi32(four));
                    narrow[t] = _mm256_add_epi16(narrow[t], products);
                }
                if (step + 1).is_multiple_of(steps_at_once::<L>()) {
                    for t in 0..T {
                        whole[t] = _mm256_add_epi32(whole[t], widened(narrow[t]));
                        narrow[t] = _mm256_setzero_si256();
                    }
                }
            }
            let at = group * TILE_ROWS + half * HALF;
            let scales = _mm256_loadu_ps(panel.scales.as_ptr().add(at));
            let minimums = _mm256_loadu_ps(panel.minimums.as_ptr().add(at));
            for t in 0..T {
                let scale = _mm256_set1_ps(*rows[t].scales.get_unchecked(group / L::GROUPS));
                let row_sum = _mm256_set1_ps(*rows[t].sums.get_unchecked(group));
                let scaled = _mm256_mul_ps(scales, scale);
                totals[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole[t]), scaled, totals[t]);
                totals[t] = _mm256_fmadd_ps(minimums, row_sum, totals[t]);
            }
        }
    }
    for t in 0..T {
        // SAFETY: an array of 16 values, a half has 8.
        unsafe { _mm256_storeu_ps(sums[t][p].as_mut_ptr().add(half * HALF), totals[t]) };
    }
}
