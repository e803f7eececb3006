//! Activations in place: each value replaced by a function of it.
//!
//! One kernel serves them all; the function is a type, so that each is compiled into a loop of its
//! own.

use crate::Result;
use crate::isa::Supported;
use crate::lanes::Lanes;
use crate::shape::require_rows;
use crate::simd::{Kernel, Simd};

use super::gelu::Activations;

/// GELU by the normal distribution function, in place: within 5e-7 of the truth, and within two
/// units in the last place where that is more.
pub fn gelu(values: &mut [f32]) {
    gelu_on(Supported::active(), values);
}

/// GELU by its tanh approximation, in place.
pub fn gelu_tanh(values: &mut [f32]) {
    gelu_tanh_on(Supported::active(), values);
}

/// `max(x, 0)`, in place.
pub fn relu(values: &mut [f32]) {
    relu_on(Supported::active(), values);
}

/// Adds the row `bias` to each row of `values` and applies [`gelu`] to the sum, in one pass; rows
/// have `bias.len()` values.
///
/// # Errors
///
/// [`Error::PartialVector`](crate::Error::PartialVector) if `values` are not whole rows; they are
/// then as they were.
pub fn add_rows_gelu(values: &mut [f32], bias: &[f32]) -> Result<()> {
    add_rows_gelu_on(Supported::active(), values, bias)
}

pub(super) fn gelu_on(cpu: Supported, values: &mut [f32]) {
    cpu.run(Gelu(values));
}

pub(super) fn gelu_tanh_on(cpu: Supported, values: &mut [f32]) {
    cpu.run(GeluTanh(values));
}

pub(super) fn relu_on(cpu: Supported, values: &mut [f32]) {
    cpu.run(Relu(values));
}

pub(super) fn add_rows_gelu_on(cpu: Supported, values: &mut [f32], bias: &[f32]) -> Result<()> {
    if require_rows("values", bias.len(), values.len())? > 0 {
        cpu.run(AddRowsGelu { values, bias });
    }
    Ok(())
}

struct Gelu<'a>(&'a mut [f32]);

impl Kernel for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        simd.map_in_place(
            self.0,
            #[inline(always)]
            |x| simd.gelu(x),
        );
    }
}

struct GeluTanh<'a>(&'a mut [f32]);

impl Kernel for GeluTanh<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        simd.map_in_place(
            self.0,
            #[inline(always)]
            |x| simd.gelu_tanh(x),
        );
    }
}

struct Relu<'a>(&'a mut [f32]);

impl Kernel for Relu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        // `max` gives its second argument for NaN, which so survives.
        simd.map_in_place(
            self.0,
            #[inline(always)]
            |x| simd.max(simd.zero(), x),
        );
    }
}

struct AddRowsGelu<'a> {
    values: &'a mut [f32],
    bias: &'a [f32],
}

impl Kernel for AddRowsGelu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for row in self.values.chunks_exact_mut(self.bias.len()) {
            simd.zip_in_place(
                row,
                self.bias,
                #[inline(always)]
                |x, bias| simd.gelu(simd.add(x, bias)),
            );
        }
    }
}
