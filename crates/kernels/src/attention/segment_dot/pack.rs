//! Heads, rounded and in the order in which products read them.

use std::arch::x86_64::*;
use std::mem::transmute;
use std::ops::Range;

use crate::Team;
use crate::disjoint::Disjoint;
use crate::isa::HasBf16;

use super::{GROUP, Job, LANES, PACK, Text};

/// Packs all heads, [`PACK`] rows of one a task.
pub(super) fn pack(proof: HasBf16, team: &Team, job: &Job<'_>, texts: &[Text], packed: &mut [u32]) {
    let (queries, rest) = packed.split_at_mut(job.all());
    let (keys, values) = rest.split_at_mut(job.all());
    let (queries, keys, values) = (
        Disjoint::new(queries),
        Disjoint::new(keys),
        Disjoint::new(values),
    );
    let runs: Vec<Range<usize>> = texts.iter().flat_map(runs_of).collect();
    let size = PACK * job.pairs();
    team.run(job.heads * runs.len(), |task| {
        let (head, run) = (task / runs.len(), task % runs.len());
        let at = head * job.packed * job.pairs() + run * size;
        // SAFETY: each run of each head has its own place, and is in one task.
        let (queries, keys, values) = unsafe {
            (
                queries.part(at, size),
                keys.part(at, size),
                values.part(at, size),
            )
        };
        pack_run(proof, job, head, runs[run].clone(), queries, keys, values);
    });
}

/// The rows of a text, [`PACK`] at a time.
fn runs_of(text: &Text) -> impl Iterator<Item = Range<usize>> {
    let end = text.rows.end;
    let starts = text.rows.clone().step_by(PACK);
    starts.map(move |start| start..end.min(start + PACK))
}

/// Packs at most [`PACK`] rows of a head into the places of so many.
fn pack_run(
    _: HasBf16,
    job: &Job<'_>,
    head: usize,
    rows: Range<usize>,
    queries: &mut [u32],
    keys: &mut [u32],
    values: &mut [u32],
) {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn inner(
        job: &Job<'_>,
        head: usize,
        rows: Range<usize>,
        queries: &mut [u32],
        keys: &mut [u32],
        values: &mut [u32],
    ) {
        // What no row fills is zero, whatever lay there before.
        queries.fill(0);
        keys.fill(0);
        for (number, row) in rows.clone().enumerate() {
            let groups = queries.chunks_exact_mut(GROUP * job.pairs());
            put::<GROUP>(job.head(row, 0, head), job.scale, number, groups);
            let blocks = keys.chunks_exact_mut(LANES * job.pairs());
            put::<LANES>(job.head(row, 1, head), 1.0, number, blocks);
        }
        for (pair, places) in values.chunks_exact_mut(job.padded).enumerate() {
            let row = |which| Some(rows.start + 2 * pair + which).filter(|row| rows.contains(row));
            for (number, places) in places.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                let value = |which| match row(which) {
                    Some(row) => vector(job.head(row, 2, head), number),
                    None => _mm512_setzero_ps(),
                };
                *places = together(round(value(0), 1.0), round(value(1), 1.0));
            }
        }
    }

    /// Puts a row's pairs into the lane that its number says, of blocks of `N` rows.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn put<'a, const N: usize>(
        row: &[f32],
        scale: f32,
        number: usize,
        mut blocks: impl Iterator<Item = &'a mut [u32]>,
    ) {
        let Some(block) = blocks.nth(number / N) else {
            return;
        };
        let (places, _) = block.as_chunks_mut::<N>();
        for (vector_number, places) in places.chunks_exact_mut(LANES / 2).enumerate() {
            let pairs = in_pairs(round(vector(row, vector_number), scale));
            for (places, pair) in places.iter_mut().zip(pairs) {
                places[number % N] = pair;
            }
        }
    }

    /// The values of a vector, zeros after the last.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn vector(values: &[f32], number: usize) -> __m512 {
        let values = &values[number * LANES..];
        let mask = match values.len() {
            0..LANES => (1u16 << values.len()) - 1,
            _ => u16::MAX,
        };
        // SAFETY: only the lanes of the mask are read, of which there are values.
        unsafe { _mm512_maskz_loadu_ps(mask, values.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vl,avx512bf16")]
    fn round(values: __m512, scale: f32) -> __m256i {
        let rounded = _mm512_cvtneps_pbh(_mm512_mul_ps(values, _mm512_set1_ps(scale)));
        // SAFETY: both are 32 bytes, of which every pattern is a value.
        unsafe { transmute(rounded) }
    }

    fn in_pairs(values: __m256i) -> [u32; LANES / 2] {
        // SAFETY: as in `round`.
        unsafe { transmute(values) }
    }

    /// The values of two rows in pairs.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn together(even: __m256i, odd: __m256i) -> [u32; LANES] {
        let odd = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(odd));
        let both = _mm512_or_si512(_mm512_cvtepu16_epi32(even), odd);
        // SAFETY: both are 64 bytes, of which every pattern is a value.
        unsafe { transmute(both) }
    }

    // SAFETY: the token exists only where the processor has these features.
    unsafe { inner(job, head, rows, queries, keys, values) }
}
