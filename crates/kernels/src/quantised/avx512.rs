//! Products with AVX-512 VNNI: one instruction multiplies the 64 codes of a step with four
//! activations and adds each row's four products to its lane.
//!
//! The instruction wants unsigned codes. Those of 8-bit layouts are signed, so 128 is added to them
//! here (the highest bit flipped), and what that adds to a sum is taken away with the minimum:
//! `d c x = d (c + 128) x - 128 d x`.

use std::arch::x86_64::*;

use crate::isa::HasAvx512;

use super::layout::{Layout, STEP_BYTES, STEPS, TILE_ROWS, Tile};
use super::panel::PanelBlock;
use super::prefetch::prefetch_after;
use super::rows::RowBlock;
use super::tier::{Sums, Tier};

impl Tier for HasAvx512 {
    const FEW: usize = 16;
    const IN_PLACE: usize = 8;
    const TOKENS: usize = 6;
    const PANELS: usize = 2;
    const SIGNED_BYTES: bool = false;

    #[inline]
    fn in_place<L: Layout, const N: usize>(
        self,
        tile: Tile<'_>,
        rows: [&[RowBlock]; N],
        start: &Sums,
    ) -> [Sums; N] {
        // SAFETY: the token exists only where the processor has these features.
        unsafe { in_place::<L, N>(tile, rows, start) }
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
        // SAFETY: as above.
        unsafe { multiply::<L, P, T>(panels, rows, starts) }
    }
}

/// Each block of the tile is unpacked into registers once and serves all rows.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn in_place<L: Layout, const N: usize>(
    tile: Tile<'_>,
    rows: [&[RowBlock]; N],
    start: &Sums,
) -> [Sums; N] {
    let blocks = rows.first().map_or(0, |row| row.len());
    assert!(tile.fits::<L>(blocks) && rows.iter().all(|row| row.len() == blocks));
    let mut totals = [vector_of(start); N];
    for index in 0..blocks {
        prefetch_after::<L>(&tile, blocks, index);
        // SAFETY: the planes and the rows have this block, as was just checked.
        let (steps, activations) = unsafe {
            let activations = rows.map(|row| row.get_unchecked(index));
            (unpack_block::<L>(&tile, index), activations)
        };
        for group in 0..L::GROUPS {
            // SAFETY: as above.
            let (scales, minimums) =
                unsafe { scales_and_minimums::<L>(&tile, index * L::GROUPS + group) };
            for n in 0..N {
                let whole = dot::<L>(&steps, activations[n], group);
                totals[n] = added::<L>(totals[n], whole, scales, minimums, activations[n], group);
            }
        }
    }
    totals.map(|total| lanes(total))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn lanes(vector: __m512) -> Sums {
    let mut lanes = [0.0; TILE_ROWS];
    // SAFETY: the array has 16 values.
    unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), vector) };
    lanes
}

/// `total` and what a group adds to it.
#[inline]
#[target_feature(enable = "avx512f")]
fn added<L: Layout>(
    total: __m512,
    whole: __m512i,
    scales: __m512,
    minimums: __m512,
    block: &RowBlock,
    group: usize,
) -> __m512 {
    let scaled = _mm512_mul_ps(scales, _mm512_set1_ps(block.scale));
    let row_sum = _mm512_set1_ps(block.group_sum::<L>(group));
    let total = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), scaled, total);
    _mm512_fmadd_ps(minimums, row_sum, total)
}

/// Four activations, in each lane.
#[inline]
#[target_feature(enable = "avx512f")]
fn broadcast(block: &RowBlock, step: usize) -> __m512i {
    _mm512_set1_epi32(block.four_codes(step))
}

/// The sums of a group's steps, in two chains that are added at the end: whole numbers, so in any
/// order.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn dot<L: Layout>(steps: &[__m512i; STEPS], activations: &RowBlock, group: usize) -> __m512i {
    let count = STEPS / L::GROUPS;
    let mut chains = [_mm512_setzero_si512(); 2];
    for (step, codes) in steps.iter().enumerate().skip(group * count).take(count) {
        let chain = &mut chains[step % 2];
        *chain = _mm512_dpbusd_epi32(*chain, *codes, broadcast(activations, step));
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

/// Scales and minimums of a group, for unsigned codes: those of 8 bits have 128 too many.
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
fn unpack<L: Layout>(tile: Tile<'_>, panel: &mut [PanelBlock]) {
    assert!(tile.fits::<L>(panel.len()));
    for (index, block) in panel.iter_mut().enumerate() {
        // SAFETY: the tile has the block, as was just checked; an array of 64 bytes or of 16 f32 is
        // one vector.
        unsafe {
            for (to, codes) in block.codes.iter_mut().zip(unpack_block::<L>(&tile, index)) {
                _mm512_storeu_si512(to.as_mut_ptr().cast(), codes);
            }
            for group in 0..L::GROUPS {
                let (scales, minimums) = scales_and_minimums::<L>(&tile, index * L::GROUPS + group);
                _mm512_storeu_ps(block.scales[group].as_mut_ptr(), scales);
                _mm512_storeu_ps(block.minimums[group].as_mut_ptr(), minimums);
            }
        }
    }
}

/// `T` rows with `P` panels.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn multiply<L: Layout, const P: usize, const T: usize>(
    panels: [&[PanelBlock]; P],
    rows: [&[RowBlock]; T],
    starts: &[Sums; P],
) -> [[Sums; P]; T] {
    let panel_blocks = panels.iter().map(|panel| panel.len());
    let blocks = panel_blocks.chain(rows.iter().map(|row| row.len())).min();
    let mut totals = [[_mm512_setzero_ps(); P]; T];
    for totals in &mut totals {
        for (total, start) in totals.iter_mut().zip(starts) {
            *total = vector_of(start);
        }
    }
    for index in 0..blocks.unwrap_or(0) {
        // SAFETY: no panel and no row has fewer blocks.
        let weights = panels.map(|panel| unsafe { panel.get_unchecked(index) });
        // SAFETY: as above.
        let activations = rows.map(|row| unsafe { row.get_unchecked(index) });
        for group in 0..L::GROUPS {
            let whole = multiply_group::<L, P, T>(weights, activations, group);
            for p in 0..P {
                let scales = vector_of(&weights[p].scales[group]);
                let minimums = vector_of(&weights[p].minimums[group]);
                for t in 0..T {
                    let (total, block) = (totals[t][p], activations[t]);
                    totals[t][p] = added::<L>(total, whole[t][p], scales, minimums, block, group);
                }
            }
        }
    }
    let mut sums = [[[0.0; TILE_ROWS]; P]; T];
    for t in 0..T {
        for p in 0..P {
            sums[t][p] = lanes(totals[t][p]);
        }
    }
    sums
}

/// The sums of a group's steps, for each row and panel: as many chains as there are of these.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn multiply_group<L: Layout, const P: usize, const T: usize>(
    weights: [&PanelBlock; P],
    activations: [&RowBlock; T],
    group: usize,
) -> [[__m512i; P]; T] {
    let steps = STEPS / L::GROUPS;
    let mut whole = [[_mm512_setzero_si512(); P]; T];
    for step in group * steps..(group + 1) * steps {
        let mut codes = [_mm512_setzero_si512(); P];
        for p in 0..P {
            // SAFETY: an array of 64 bytes.
            codes[p] = unsafe { _mm512_loadu_si512(weights[p].codes[step].as_ptr().cast()) };
        }
        for t in 0..T {
            let four = broadcast(activations[t], step);
            for p in 0..P {
                whole[t][p] = _mm512_dpbusd_epi32(whole[t][p], codes[p], four);
            }
        }
    }
    whole
}

#[inline]
#[target_feature(enable = "avx512f")]
fn vector_of(lanes: &Sums) -> __m512 {
    // SAFETY: an array of 16 values.
    unsafe { _mm512_loadu_ps(lanes.as_ptr()) }
}
