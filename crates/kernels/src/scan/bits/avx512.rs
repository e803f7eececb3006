//! Bit scans with AVX-512 VNNI and VBMI: a line's four tables are one vector, in which 64 look-ups
//! are one instruction.
//!
//! A line's bytes are first brought into the order in which the instruction that multiplies bytes
//! adds them up: four of one row in each lane. Then no sum is ever taken across lanes.

use std::arch::x86_64::*;

use crate::isa::HasVbmi;
use crate::scan::shortlist::Shortlist;

use super::call::BitScan;
use super::layout::{BLOCK_ROWS, HALF_ROWS, LINE_BYTES};
use super::query::LineTables;

/// Blocks that are summed side by side, and share the loads of tables.
const BLOCKS: usize = 2;
/// Lines that are summed side by side, so that sums do not wait for each other.
const CHAINS: usize = 2;

/// How far ahead of the codes in use others are asked for. The processor's own prefetching stops at
/// the ends of pages.
const AHEAD: usize = 8192;

/// The sums of the first and of the last 16 rows of a block.
type Halves = [__m512i; 2];

pub(super) fn scan(_: HasVbmi, scan: &BitScan<'_>, shortlist: &mut Shortlist) {
    // SAFETY: the token exists only where the processor has these features.
    unsafe { all_blocks(scan, shortlist) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
fn all_blocks(scan: &BitScan<'_>, shortlist: &mut Shortlist) {
    let count = scan.block_count();
    let pairs = count - count % BLOCKS;
    for first in (0..pairs).step_by(BLOCKS) {
        some_blocks::<BLOCKS>(scan, first, shortlist);
    }
    if pairs < count {
        some_blocks::<1>(scan, pairs, shortlist);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
fn some_blocks<const B: usize>(scan: &BitScan<'_>, first: usize, shortlist: &mut Shortlist) {
    let accepted: [u32; B] = std::array::from_fn(|b| scan.accepted(first + b));
    if accepted.iter().all(|accepted| *accepted == 0) {
        return;
    }
    let start = _mm512_set1_epi32(-scan.query.zeros());
    let sums = sums::<B>(scan.blocks(first, B), scan.query.tables(), start);
    offer(scan, first, &accepted, &sums, shortlist);
}

/// The sums of table entries that the rows of `B` neighbouring blocks choose, added to `start`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
fn sums<const B: usize>(blocks: &[u8], tables: &[LineTables], start: __m512i) -> [Halves; B] {
    let block_len = tables.len() * LINE_BYTES;
    assert!(blocks.len() == B * block_len);
    let mut chains = [[[_mm512_setzero_si512(); 2]; B]; CHAINS];
    chains[0] = [[start; 2]; B];
    let mut add = |line: usize, chain: usize| {
        // SAFETY: a line's tables are 64 bytes.
        let table = unsafe { _mm512_load_si512(tables[line].0.as_ptr().cast()) };
        for (b, sums) in chains[chain].iter_mut().enumerate() {
            // SAFETY: `line` is below the number of tables, as was just checked by the index, and
            // each of the B blocks has as many lines of 64 bytes.
            let codes = unsafe { blocks.as_ptr().add(b * block_len + line * LINE_BYTES) };
            _mm_prefetch::<_MM_HINT_T0>(codes.wrapping_add(AHEAD).cast());
            // SAFETY: as above.
            add_line(sums, unsafe { _mm512_loadu_si512(codes.cast()) }, table);
        }
    };
    let whole = tables.len() - tables.len() % CHAINS;
    for line in (0..whole).step_by(CHAINS) {
        for chain in 0..CHAINS {
            add(line + chain, chain);
        }
    }
    for line in whole..tables.len() {
        add(line, 0);
    }
    let mut sums = chains[0];
    for chain in &chains[1..] {
        for (sum, chain) in sums.as_flattened_mut().iter_mut().zip(chain.as_flattened()) {
            *sum = _mm512_add_epi32(*sum, *chain);
        }
    }
    sums
}

/// Looks up what 32 rows choose from the four tables of a line, and adds it to their sums.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
fn add_line(sums: &mut Halves, codes: __m512i, tables: __m512i) {
    /// `(a & b) | c`.
    const SELECT: i32 = 0xea;
    let rows_together = bytes(&ROWS_TOGETHER);
    let table_numbers = bytes(&TABLE_NUMBERS);
    let low = _mm512_set1_epi8(15);
    let ones = _mm512_set1_epi8(1);
    let codes = _mm512_permutexvar_epi8(rows_together, codes);
    for (sum, codes) in sums.iter_mut().zip([codes, _mm512_srli_epi16::<4>(codes)]) {
        let entry = _mm512_ternarylogic_epi32::<SELECT>(codes, low, table_numbers);
        let chosen = _mm512_permutexvar_epi8(entry, tables);
        *sum = _mm512_dpbusd_epi32(*sum, chosen, ones);
    }
}

/// Which byte of a line goes where: byte `4 r + t` is table `t` of row `r`.
static ROWS_TOGETHER: [u8; LINE_BYTES] = {
    let mut from = [0; LINE_BYTES];
    let mut to = 0;
    while to < LINE_BYTES {
        from[to] = (to % 4 * HALF_ROWS + to / 4) as u8;
        to += 1;
    }
    from
};

/// Which table a byte chooses from, in its bits 4 and 5, above the number of the entry.
static TABLE_NUMBERS: [u8; LINE_BYTES] = {
    let mut numbers = [0; LINE_BYTES];
    let mut at = 0;
    while at < LINE_BYTES {
        numbers[at] = (at % 4 * 16) as u8;
        at += 1;
    }
    numbers
};

#[inline]
#[target_feature(enable = "avx512f")]
fn bytes(bytes: &[u8; LINE_BYTES]) -> __m512i {
    // SAFETY: an array of 64 bytes.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Offers the accepted rows of `B` blocks whose score reaches the bar.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn offer<const B: usize>(
    scan: &BitScan<'_>,
    first: usize,
    accepted: &[u32; B],
    sums: &[Halves; B],
    shortlist: &mut Shortlist,
) {
    // Where half a block begins, and which of its rows may come out.
    let half_of = |n: usize| {
        let accepted = accepted[n / 2] >> (n % 2 * HALF_ROWS);
        (first * BLOCK_ROWS + n * HALF_ROWS, accepted as __mmask16)
    };
    let bar = _mm512_set1_ps(shortlist.bar());
    let mut scores = [[_mm512_setzero_ps(); 2]; B];
    // The greatest score of each lane; a maximum is its second argument where one is NaN.
    let mut greatest = _mm512_set1_ps(f32::NEG_INFINITY);
    let halves = scores.as_flattened_mut().iter_mut();
    for (n, (scores, sums)) in halves.zip(sums.as_flattened()).enumerate() {
        let (position, accepted) = half_of(n);
        *scores = half_scores(scan, position, accepted, *sums);
        greatest = _mm512_max_ps(*scores, greatest);
    }
    // One branch for all blocks.
    if _mm512_cmp_ps_mask::<_CMP_GE_OQ>(greatest, bar) == 0 {
        return;
    }
    for (n, scores) in scores.as_flattened().iter().enumerate() {
        let (position, accepted) = half_of(n);
        let passing = _mm512_mask_cmp_ps_mask::<_CMP_GE_OQ>(accepted, *scores, bar);
        if passing != 0 {
            let mut lanes = [0.0; HALF_ROWS];
            // SAFETY: the array has 16 values.
            unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), *scores) };
            scan.offer_lanes(position, u32::from(passing), &lanes, shortlist);
        }
    }
}

/// The scores of half a block; of rows that are not accepted, negative infinity.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn half_scores(scan: &BitScan<'_>, position: usize, accepted: __mmask16, sums: __m512i) -> __m512 {
    let load = |otherwise: __m512, values: Option<&[f32]>| match values {
        // SAFETY: a position that is accepted is below the count, which both slices have; a masked
        // load does not touch the others.
        Some(values) => unsafe {
            let from = values.as_ptr().wrapping_add(position);
            _mm512_mask_loadu_ps(otherwise, accepted, from)
        },
        None => _mm512_mask_mov_ps(otherwise, accepted, _mm512_setzero_ps()),
    };
    let factors = load(_mm512_setzero_ps(), Some(scan.factors));
    let offsets = load(_mm512_set1_ps(f32::NEG_INFINITY), scan.offsets);
    let start = _mm512_add_ps(offsets, _mm512_set1_ps(scan.base));
    let scale = _mm512_set1_ps(scan.query.scale());
    _mm512_fmadd_ps(
        factors,
        _mm512_mul_ps(_mm512_cvtepi32_ps(sums), scale),
        start,
    )
}
