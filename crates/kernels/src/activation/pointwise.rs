//! Activations in place: each value replaced by a function of it.
//!
//! One kernel serves them all; the function is a type, so that each is compiled into a loop of its
//! own.

use crate::isa::Supported;
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

pub(super) fn gelu_on(cpu: Supported, values: &mut [f32]) {
    cpu.run(Gelu(values));
}

pub(super) fn gelu_tanh_on(cpu: Supported, values: &mut [f32]) {
    cpu.run(GeluTanh(values));
}

pub(super) fn relu_on(cpu: Supported, values: &mut [f32]) {
    cpu.run(Relu(values));
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
