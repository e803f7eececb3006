//! Activations, rounded to bytes for the integer products.
//!
//! Each block of 32 values of a row has a scale of its own, its greatest magnitude over 127, so that
//! one large value costs only its neighbours precision. Beside the codes a product needs their sums,
//! to add the weights' minimums: `sum of (d c + m) x = d (sum of c x) + m (sum of x)`.

use std::ops::Range;

use crate::aligned::Aligned;
use crate::disjoint::Disjoint;
use crate::isa::Supported;
use crate::shape::require_rows;
use crate::simd::{Kernel, MOST_LANES, Simd};
use crate::{Error, Result, Team};

use super::layout::{BLOCK, Layout};

/// Rows of activations as bytes. The buffers are kept from one [`fill`](Self::fill) to the next.
#[derive(Debug)]
pub struct QuantisedRows {
    columns: usize,
    count: usize,
    codes: Aligned<i8>,
    /// One a block.
    scales: Vec<f32>,
    /// `scale * sum of codes`, one a block.
    sums: Vec<f32>,
    /// The same for each half of a block.
    half_sums: Vec<f32>,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'rows> {
    pub(super) codes: &'rows [i8],
    pub(super) scales: &'rows [f32],
    /// One a group: of 32 columns or of 16.
    pub(super) sums: &'rows [f32],
}

impl<'rows> Row<'rows> {
    /// Some blocks of it.
    pub(super) fn blocks<L: Layout>(self, blocks: Range<usize>) -> Self {
        Self {
            codes: &self.codes[blocks.start * BLOCK..blocks.end * BLOCK],
            scales: &self.scales[blocks.clone()],
            sums: &self.sums[blocks.start * L::GROUPS..blocks.end * L::GROUPS],
        }
    }

    /// Whether it has so many blocks.
    pub(super) fn fits<L: Layout>(&self, blocks: usize) -> bool {
        self.codes.len() >= blocks * BLOCK
            && self.scales.len() >= blocks
            && self.sums.len() >= blocks * L::GROUPS
    }
}

impl Default for QuantisedRows {
    fn default() -> Self {
        Self::new()
    }
}

impl QuantisedRows {
    /// No rows.
    pub fn new() -> Self {
        Self {
            columns: 0,
            count: 0,
            codes: Aligned::zeros(0),
            scales: Vec::new(),
            sums: Vec::new(),
            half_sums: Vec::new(),
        }
    }

    /// Rounds rows of `columns` values, one after another. Not finite values make the products of
    /// their row meaningless, and nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::PartialVector`] if the values are no whole rows,
    /// [`Error::Columns`] if a row is no multiple of 32.
    pub fn fill(&mut self, team: &Team, values: &[f32], columns: usize) -> Result<()> {
        self.fill_on(Supported::active(), team, values, columns)
    }

    pub(crate) fn fill_on(
        &mut self,
        cpu: Supported,
        team: &Team,
        values: &[f32],
        columns: usize,
    ) -> Result<()> {
        if !columns.is_multiple_of(BLOCK) {
            let block = BLOCK;
            return Err(Error::Columns { columns, block });
        }
        let count = require_rows("values", columns, values.len())?;
        self.resize(count, columns);
        let blocks = columns / BLOCK;
        let codes = Disjoint::new(&mut self.codes);
        let scales = Disjoint::new(&mut self.scales);
        let sums = Disjoint::new(&mut self.sums);
        let half_sums = Disjoint::new(&mut self.half_sums);
        team.run(count, |row| {
            // SAFETY: each task takes the parts of its own row, once.
            let target = unsafe {
                Target {
                    codes: codes.part(row * columns, columns),
                    scales: scales.part(row * blocks, blocks),
                    sums: sums.part(row * blocks, blocks),
                    half_sums: half_sums.part(row * 2 * blocks, 2 * blocks),
                }
            };
            cpu.run(Quantise {
                values: &values[row * columns..(row + 1) * columns],
                target,
            });
        });
        Ok(())
    }

    fn resize(&mut self, count: usize, columns: usize) {
        let blocks = count * columns / BLOCK;
        if self.codes.len() < count * columns {
            self.codes = Aligned::zeros(count * columns);
        }
        self.scales.resize(blocks, 0.0);
        self.sums.resize(blocks, 0.0);
        self.half_sums.resize(2 * blocks, 0.0);
        (self.count, self.columns) = (count, columns);
    }

    /// Rows.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Values of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// A row, with the sums of groups of so many to a block.
    pub(super) fn row(&self, row: usize, groups: usize) -> Row<'_> {
        let blocks = self.columns / BLOCK;
        let part = |width: usize| row * width..(row + 1) * width;
        Row {
            codes: &self.codes[part(self.columns)],
            scales: &self.scales[part(blocks)],
            sums: match groups {
                1 => &self.sums[part(blocks)],
                _ => &self.half_sums[part(2 * blocks)],
            },
        }
    }
}

/// Where the parts of a row go.
struct Target<'rows> {
    codes: &'rows mut [i8],
    scales: &'rows mut [f32],
    sums: &'rows mut [f32],
    half_sums: &'rows mut [f32],
}

struct Quantise<'rows> {
    values: &'rows [f32],
    target: Target<'rows>,
}

impl Kernel for Quantise<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Target {
            codes,
            scales,
            sums,
            half_sums,
        } = self.target;
        let (values, _) = self.values.as_chunks::<BLOCK>();
        let (codes, _) = codes.as_chunks_mut::<BLOCK>();
        let (half_sums, _) = half_sums.as_chunks_mut::<2>();
        for ((((values, codes), scale), sum), halves) in values
            .iter()
            .zip(codes)
            .zip(scales)
            .zip(sums)
            .zip(half_sums)
        {
            *scale = block_scale(simd, values);
            // A block so small that its scale has no inverse is zero for every purpose.
            let inverse = if *scale < f32::MIN_POSITIVE {
                0.0
            } else {
                1.0 / *scale
            };
            for half in 0..2 {
                let at = half * MOST_LANES;
                halves[half] = *scale * round_half(simd, &values[at..], inverse, &mut codes[at..]);
            }
            *sum = halves[0] + halves[1];
        }
    }
}

/// The greatest magnitude of a block over 127.
#[inline(always)]
fn block_scale<S: Simd>(simd: S, values: &[f32; BLOCK]) -> f32 {
    let greatest = simd.fold(
        values,
        0.0,
        simd.zero(),
        #[inline(always)]
        |greatest, values| {
            let magnitude = simd.max(values, simd.sub(simd.zero(), values));
            simd.max(greatest, magnitude)
        },
    );
    simd.greatest(greatest) / 127.0
}

/// Rounds 16 values to codes and returns the sum of the codes.
#[inline(always)]
fn round_half<S: Simd>(simd: S, values: &[f32], inverse: f32, codes: &mut [i8]) -> f32 {
    let inverse = simd.splat(inverse);
    let mut sum = simd.zero();
    assert!(values.len() >= MOST_LANES && codes.len() >= MOST_LANES);
    for at in (0..MOST_LANES).step_by(S::LANES) {
        // SAFETY: `at + LANES <= MOST_LANES`, which both slices have.
        unsafe {
            let rounded = simd.round(simd.mul(simd.load(values.as_ptr().add(at)), inverse));
            simd.store_i8(codes.as_mut_ptr().add(at), rounded);
            sum = simd.add(sum, rounded);
        }
    }
    simd.sum(sum)
}
