//! Products with AVX-512 VNNI: one instruction multiplies the 64 codes of a step with four
//! activations and adds each row's four products to its lane.
//!
//! The instruction wants unsigned codes. Those of 8-bit layouts are signed, so 128 is added to them
//! here (the highest bit flipped), and what that adds to a sum is taken away with the minimum:
//! `d c x = d (c + 128) x - 128 d x`.

use std::arch::x86_64::*;

use crate::isa::HasAvx512;

use super::layout::{BLOCK, Layout, STEP_BYTES, STEPS, TILE_ROWS, Tile};
use super::panel::Panel;
use super::rows::Row;
use super::tier::{Sums, Tier};

impl Tier for HasAvx512 {
    const TOKENS: usize = 6;
    const PANELS: usize = 2;

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
        // SAFETY: as above.
        unsafe { panels::<L, P, T>(panels_, rows, sums) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn vector<L: Layout>(tile: Tile<'_>, row: Row<'_>) -> Sums {
    let blocks = tile.codes.len() / L::CODE_BYTES;
    assert!(row.fits::<L>(blocks) && tile.fits::<L>(blocks));
    let mut sum = _mm512_setzero_ps();
    for block in 0..blocks {
        // SAFETY: the planes and the row have this block, as was just checked.
        unsafe {
            let steps = unpack_block::<L>(&tile, block);
            let activations = row.codes.as_ptr().add(block * BLOCK);
            let scale = _mm512_set1_ps(*row.scales.get_unchecked(block));
            for group in 0..L::GROUPS {
                let whole = dot::<L>(&steps, activations, group);
                let (scales, minimums) = scales_and_minimums::<L>(&tile, block * L::GROUPS + group);
                let row_sum = _mm512_set1_ps(*row.sums.get_unchecked(block * L::GROUPS + group));
                sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), _mm512_mul_ps(scales, scale), sum);
                sum = _mm512_fmadd_ps(minimums, row_sum, sum);
            }
        }
    }
    let mut sums = [0.0; TILE_ROWS];
    // SAFETY: the array has 16 values.
    unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), sum) };
    sums
}

/// The sums of a group's steps, in two chains that are added at the end: whole numbers, so in any
/// order.
///
/// # Safety
///
/// `activations` has the 32 codes of a block.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn dot<L: Layout>(
    steps: &[__m512i; STEPS],
    activations: *const i8,
    group: usize,
) -> __m512i {
    let count = STEPS / L::GROUPS;
    let mut chains = [_mm512_setzero_si512(); 2];
    for step in group * count..(group + 1) * count {
        // SAFETY: four codes from `4 * step` on are in the block.
        let four = unsafe { activations.add(step * 4).cast::<i32>().read_unaligned() };
        let chain = &mut chains[step % 2];
        *chain = _mm512_dpbusd_epi32(*chain, steps[step], _mm512_set1_epi32(four));
    }
    _mm512_add_epi32(chains[0], chains[1])
}

/// The steps of a block, a byte a code, unsigned.
///
/// # Safety
///
/// The planes have the block.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn unpack_block<L: Layout>(tile: &Tile<'_>, block: usize) -> [__m512i; STEPS] {
    let mut steps = [_mm512_setzero_si512(); STEPS];
    // SAFETY: the caller promises that the planes have the block.
    let codes = unsafe { tile.codes.as_ptr().add(block * L::CODE_BYTES) };
    if L::BITS == 8 {
        for (step, to) in steps.iter_mut().enumerate() {
            // SAFETY: a block has 8 steps of 64 bytes in this layout.
            let signed = unsafe { _mm512_loadu_si512(codes.add(step * STEP_BYTES).cast()) };
            *to = _mm512_xor_si512(signed, _mm512_set1_epi8(-128));
        }
        return steps;
    }
    let low = _mm512_set1_epi8(15);
    for pair in 0..STEPS / 2 {
        // SAFETY: a block has 4 times 64 bytes in the other layouts.
        let both = unsafe { _mm512_loadu_si512(codes.add(pair * STEP_BYTES).cast()) };
        steps[2 * pair] = _mm512_and_si512(both, low);
        steps[2 * pair + 1] = _mm512_and_si512(_mm512_srli_epi16::<4>(both), low);
    }
    // SAFETY: the caller promises that the planes have the block.
    let highs = unsafe { tile.highs.as_ptr().add(block * L::HIGH_BYTES) };
    if L::BITS == 5 {
        // SAFETY: a block has 64 bytes of high bits in this layout.
        add_fifth_bits(&mut steps, unsafe { _mm512_loadu_si512(highs.cast()) });
    }
    if L::BITS == 6 {
        let (first, second) = steps.split_at_mut(STEPS / 2);
        // SAFETY: a block has twice 64 bytes of high bits in this layout.
        unsafe {
            add_high_pairs(first, _mm512_loadu_si512(highs.cast()));
            add_high_pairs(second, _mm512_loadu_si512(highs.add(STEP_BYTES).cast()));
        }
    }
    steps
}

/// Moves bit `s` of each byte to bit 4 of step `s`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn add_fifth_bits(steps: &mut [__m512i; STEPS], highs: __m512i) {
    let bit = _mm512_set1_epi8(16);
    let moved = [
        _mm512_slli_epi16::<4>(highs),
        _mm512_slli_epi16::<3>(highs),
        _mm512_slli_epi16::<2>(highs),
        _mm512_slli_epi16::<1>(highs),
        highs,
        _mm512_srli_epi16::<1>(highs),
        _mm512_srli_epi16::<2>(highs),
        _mm512_srli_epi16::<3>(highs),
    ];
    for (step, moved) in steps.iter_mut().zip(moved) {
        *step = _mm512_or_si512(*step, _mm512_and_si512(moved, bit));
    }
}

/// Moves bits `2 f` and `2 f + 1` of each byte to bits 4 and 5 of the `f`-th step.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn add_high_pairs(steps: &mut [__m512i], highs: __m512i) {
    let bits = _mm512_set1_epi8(48);
    let moved = [
        _mm512_slli_epi16::<4>(highs),
        _mm512_slli_epi16::<2>(highs),
        highs,
        _mm512_srli_epi16::<2>(highs),
    ];
    for (step, moved) in steps.iter_mut().zip(moved) {
        *step = _mm512_or_si512(*step, _mm512_and_si512(moved, bits));
    }
}

/// Scales and minimums of a group, for unsigned codes.
///
/// # Safety
///
/// The planes have the group.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn scales_and_minimums<L: Layout>(tile: &Tile<'_>, group: usize) -> (__m512, __m512) {
    let at = group * 2 * TILE_ROWS;
    // SAFETY: the caller promises that the planes have the group, 32 bytes each.
    let load = |plane: &[u8]| unsafe {
        _mm512_cvtph_ps(_mm256_loadu_si256(plane.as_ptr().add(at).cast()))
    };
    let scales = load(tile.scales);
    if L::HAS_MINIMUMS {
        return (scales, load(tile.minimums));
    }
    let zero = if L::BITS == 8 { 128.0 } else { L::ZERO };
    (scales, _mm512_mul_ps(scales, _mm512_set1_ps(-zero)))
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn unpack<L: Layout>(tile: Tile<'_>, panel: &mut Panel) {
    let blocks = tile.codes.len() / L::CODE_BYTES;
    assert!(tile.fits::<L>(blocks) && panel.has_room_for::<L>(blocks));
    for block in 0..blocks {
        // SAFETY: the tile has the block and the panel room for it, as was just checked.
        unsafe {
            let to = panel.codes.as_mut_ptr().add(block * STEPS * STEP_BYTES);
            for (step, codes) in unpack_block::<L>(&tile, block).into_iter().enumerate() {
                _mm512_storeu_si512(to.add(step * STEP_BYTES).cast(), codes);
            }
            for group in block * L::GROUPS..(block + 1) * L::GROUPS {
                let (scales, minimums) = scales_and_minimums::<L>(&tile, group);
                _mm512_storeu_ps(panel.scales.as_mut_ptr().add(group * TILE_ROWS), scales);
                _mm512_storeu_ps(panel.minimums.as_mut_ptr().add(group * TILE_ROWS), minimums);
            }
        }
    }
    panel.blocks = blocks;
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn panels<L: Layout, const P: usize, const T: usize>(
    panels: [&Panel; P],
    rows: [Row<'_>; T],
    sums: &mut [[Sums; P]; T],
) {
    let blocks = panels.iter().map(|panel| panel.blocks).min().unwrap_or(0);
    assert!(panels.iter().all(|panel| panel.has_room_for::<L>(blocks)));
    assert!(rows.iter().all(|row| row.fits::<L>(blocks)));
    let mut totals = [[_mm512_setzero_ps(); P]; T];
    for t in 0..T {
        for p in 0..P {
            // SAFETY: an array of 16 values.
            totals[t][p] = unsafe { _mm512_loadu_ps(sums[t][p].as_ptr()) };
        }
    }
    let steps = STEPS / L::GROUPS;
    for group in 0..blocks * L::GROUPS {
        // SAFETY: panels and rows have the blocks, as was checked, and so the group and its steps.
        unsafe {
            let mut whole = [[_mm512_setzero_si512(); P]; T];
            for step in group * steps..(group + 1) * steps {
                let mut codes = [_mm512_setzero_si512(); P];
                for p in 0..P {
                    let at = panels[p].codes.as_ptr().add(step * STEP_BYTES);
                    codes[p] = _mm512_load_si512(at.cast());
                }
                for t in 0..T {
                    let four = rows[t]
                        .codes
                        .as_ptr()
                        .add(step * 4)
                        .cast::<i32>()
                        .read_unaligned();
                    let four = _mm512_set1_epi32(four);
                    for p in 0..P {
                        whole[t][p] = _mm512_dpbusd_epi32(whole[t][p], codes[p], four);
                    }
                }
            }
            for p in 0..P {
                let scales = _mm512_load_ps(panels[p].scales.as_ptr().add(group * TILE_ROWS));
                let minimums = _mm512_load_ps(panels[p].minimums.as_ptr().add(group * TILE_ROWS));
                for t in 0..T {
                    let scale = _mm512_set1_ps(*rows[t].scales.get_unchecked(group / L::GROUPS));
                    let row_sum = _mm512_set1_ps(*rows[t].sums.get_unchecked(group));
                    let scaled = _mm512_mul_ps(scales, scale);
                    let whole = _mm512_cvtepi32_ps(whole[t][p]);
                    totals[t][p] = _mm512_fmadd_ps(whole, scaled, totals[t][p]);
                    totals[t][p] = _mm512_fmadd_ps(minimums, row_sum, totals[t][p]);
                }
            }
        }
    }
    for t in 0..T {
        for p in 0..P {
            // SAFETY: an array of 16 values.
            unsafe { _mm512_storeu_ps(sums[t][p].as_mut_ptr(), totals[t][p]) };
        }
    }
}
