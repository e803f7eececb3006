//! Sums: a residual onto its stream, and a bias onto every row.
//!
//! They are bound by memory; fusing them into the product before them saves a pass, and these are
//! for where that is not done.

use crate::Result;
use crate::isa::Supported;
use crate::lanes::Lanes;
use crate::shape::{require_length, require_rows};
use crate::simd::{Kernel, Simd};

/// `values += other`, component by component.
///
/// # Errors
///
/// [`Error::Length`](crate::Error::Length) if they have different lengths; `values` are then as
/// they were.
pub fn add(values: &mut [f32], other: &[f32]) -> Result<()> {
    add_on(Supported::active(), values, other)
}

/// Adds the row `bias` to each row of `values`; rows have `bias.len()` values.
///
/// # Errors
///
/// [`Error::PartialVector`](crate::Error::PartialVector) if `values` are not whole rows; they are
/// then as they were.
pub fn add_rows(values: &mut [f32], bias: &[f32]) -> Result<()> {
    add_rows_on(Supported::active(), values, bias)
}

pub(super) fn add_on(cpu: Supported, values: &mut [f32], other: &[f32]) -> Result<()> {
    require_length("other", values.len(), other.len())?;
    // Of equal length, `other` is a bias of one row.
    add_rows_on(cpu, values, other)
}

pub(super) fn add_rows_on(cpu: Supported, values: &mut [f32], bias: &[f32]) -> Result<()> {
    if require_rows("values", bias.len(), values.len())? > 0 {
        cpu.run(AddRows { values, bias });
    }
    Ok(())
}

struct AddRows<'a> {
    values: &'a mut [f32],
    bias: &'a [f32],
}

impl Kernel for AddRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for row in self.values.chunks_exact_mut(self.bias.len()) {
            simd.zip_in_place(
                row,
                self.bias,
                #[inline(always)]
                |x, bias| simd.add(x, bias),
            );
        }
    }
}
