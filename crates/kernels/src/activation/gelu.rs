//! The activation functions of one vector: SiLU, and GELU in both of its forms (Hendrycks and
//! Gimpel 2016, <https://arxiv.org/abs/1606.08415>).
//!
//! The exact GELU is `x` times the normal distribution function; models trained with its tanh
//! approximation differ from it by up to 5e-4 and need that instead.

use crate::simd::Simd;

/// The functions that the kernels apply, for every tier.
pub(super) trait Activations: Simd {
    /// `x / (1 + e^-x)`.
    #[inline(always)]
    fn silu(self, x: Self::F32) -> Self::F32 {
        let one = self.splat(1.0);
        self.div(x, self.add(one, self.exp(self.sub(self.zero(), x))))
    }

    /// `x/2 (1 + tanh(u))` with `u = sqrt(2/pi) (x + 0.044715 x^3)`, which is `x / (1 + e^(-2u))`.
    #[inline(always)]
    fn gelu_tanh(self, x: Self::F32) -> Self::F32 {
        const MINUS_TWO_ROOT_2_OVER_PI: f32 = -1.595_769;
        let one = self.splat(1.0);
        let cubic = self.mul_add(self.mul(x, x), self.splat(0.044_715), one);
        let exponent = self.mul(self.mul(x, cubic), self.splat(MINUS_TWO_ROOT_2_OVER_PI));
        self.div(x, self.add(one, self.exp(exponent)))
    }

    /// `x` times the normal distribution function of `x`, within 5e-7 of the truth: `max(x, 0)`
    /// less `|x|` times the tail of the distribution beyond `|x|`. The tail is half of erfc by
    /// Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 7.1.26, whose error is at
    /// most 1.5e-7.
    #[inline(always)]
    fn gelu(self, x: Self::F32) -> Self::F32 {
        const P: f32 = 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2;
        const HALF_A: [f32; 5] = [
            1.061_405_4 / 2.0,
            -1.453_152_1 / 2.0,
            1.421_413_8 / 2.0,
            -0.284_496_72 / 2.0,
            0.254_829_6 / 2.0,
        ];
        let one = self.splat(1.0);
        // Beyond 20 the tail is nothing, and the product with it must not be infinity times that.
        // `min` and `max` give their second argument for NaN, which so survives.
        let size = self.min(self.splat(20.0), self.max(x, self.sub(self.zero(), x)));
        let t = self.div(one, self.mul_add(size, self.splat(P), one));
        let mut series = self.splat(HALF_A[0]);
        for coefficient in &HALF_A[1..] {
            series = self.mul_add(series, t, self.splat(*coefficient));
        }
        let density = self.exp(self.mul(self.mul(size, size), self.splat(-0.5)));
        let tail = self.mul(self.mul(series, t), density);
        self.sub(self.max(self.zero(), x), self.mul(size, tail))
    }
}

impl<S: Simd> Activations for S {}
