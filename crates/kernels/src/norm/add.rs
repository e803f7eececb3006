//! Sums: a residual onto its stream.
//!
//! They are bound by memory; fusing them into the product before them would save a pass, and this is
//! for where that is not done.

use crate::Result;
use crate::isa::Supported;
use crate::lanes::Lanes;
use crate::shape::require_length;
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

pub(super) fn add_on(cpu: Supported, values: &mut [f32], other: &[f32]) -> Result<()> {
    require_length("other", values.len(), other.len())?;
    cpu.run(Add { values, other });
    Ok(())
}

struct Add<'a> {
    values: &'a mut [f32],
    other: &'a [f32],
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        simd.zip_in_place(
            self.values,
            self.other,
            #[inline(always)]
            |x, other| simd.add(x, other),
        );
    }
}
