//! Gated activations: the two halves of a feed-forward block's first product, one activated, times
//! each other (Shazeer 2020, <https://arxiv.org/abs/2002.05202>).
//!
//! Gate and up projection come out of one fused product, so a row holds the gate and then the up
//! half.

use crate::Result;
use crate::isa::Supported;
use crate::lanes::Lanes;
use crate::shape::{require_length, require_rows};
use crate::simd::{Kernel, Simd};

use super::gelu::Activations;

/// `silu(gate) * up`: `gate_up` has rows of `2 * width` values, the gate and then the up half, and
/// `out` rows of `width`.
///
/// # Errors
///
/// [`Error::PartialVector`](crate::Error::PartialVector) if `out` is not whole rows,
/// [`Error::Length`](crate::Error::Length) if `gate_up` is not twice as long; `out` is then as it
/// was.
pub fn silu_product(gate_up: &[f32], out: &mut [f32], width: usize) -> Result<()> {
    silu_product_on(Supported::active(), gate_up, out, width)
}

/// `gelu_tanh(gate) * up`, laid out as in [`silu_product`]: the GeGLU of Gemma.
///
/// # Errors
///
/// As [`silu_product`].
pub fn gelu_tanh_product(gate_up: &[f32], out: &mut [f32], width: usize) -> Result<()> {
    gelu_tanh_product_on(Supported::active(), gate_up, out, width)
}

pub(super) fn silu_product_on(
    cpu: Supported,
    gate_up: &[f32],
    out: &mut [f32],
    width: usize,
) -> Result<()> {
    check(gate_up, out, width)?;
    cpu.run(SiluProduct {
        gate_up,
        out,
        width,
    });
    Ok(())
}

pub(super) fn gelu_tanh_product_on(
    cpu: Supported,
    gate_up: &[f32],
    out: &mut [f32],
    width: usize,
) -> Result<()> {
    check(gate_up, out, width)?;
    cpu.run(GeluTanhProduct {
        gate_up,
        out,
        width,
    });
    Ok(())
}

fn check(gate_up: &[f32], out: &[f32], width: usize) -> Result<()> {
    require_rows("out", width, out.len())?;
    require_length("gate_up", out.len().saturating_mul(2), gate_up.len())
}

/// Each row of `gate_up`, cut in its halves, with its row of `out`.
fn rows<'a>(
    gate_up: &'a [f32],
    out: &'a mut [f32],
    width: usize,
) -> impl Iterator<Item = ((&'a [f32], &'a [f32]), &'a mut [f32])> {
    // A width of 0 has passed the checks only with slices that are empty.
    let width = width.max(1);
    let halves = gate_up.chunks_exact(2 * width);
    let halves = halves.map(move |row| row.split_at(width));
    halves.zip(out.chunks_exact_mut(width))
}

struct SiluProduct<'a> {
    gate_up: &'a [f32],
    out: &'a mut [f32],
    width: usize,
}

impl Kernel for SiluProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for ((gate, up), out) in rows(self.gate_up, self.out, self.width) {
            simd.zip_into(
                gate,
                up,
                out,
                #[inline(always)]
                |gate, up| simd.mul(simd.silu(gate), up),
            );
        }
    }
}

struct GeluTanhProduct<'a> {
    gate_up: &'a [f32],
    out: &'a mut [f32],
    width: usize,
}

impl Kernel for GeluTanhProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for ((gate, up), out) in rows(self.gate_up, self.out, self.width) {
            simd.zip_into(
                gate,
                up,
                out,
                #[inline(always)]
                |gate, up| simd.mul(simd.gelu_tanh(gate), up),
            );
        }
    }
}
