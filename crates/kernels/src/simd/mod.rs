//! One vocabulary of vectors for all tiers: f32 lanes, their arithmetic, and conversions from the
//! half-width formats that weights and caches are stored in.
//!
//! A kernel whose tiers differ only in the width of a vector is written once, against [`Simd`], as
//! a [`Kernel`]; [`Supported::run`] compiles it for each tier and picks the one in use. Kernels
//! that need an instruction of their own (integer dot products, say) have a file a tier instead.
//!
//! Everything on the way from `Supported::run` to an instruction is `#[inline(always)]`, closures
//! too: only what is inlined into the function with the tier's `#[target_feature]` is compiled for
//! it. What is not, works, but calls a function for each vector.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;
#[cfg(test)]
mod tests;

use crate::isa::Supported;

pub(crate) use scalar::ScalarLanes;

/// The most lanes that any tier has: tails are computed in a buffer of this size.
pub(crate) const MOST_LANES: usize = 16;

/// Arithmetic on vectors of [`Simd::LANES`] f32. A value of the type is the proof that the
/// processor has the instructions.
///
/// Methods take and return vectors by value; those that touch memory are `unsafe` and say how much
/// of it they touch. No alignment is asked for.
pub(crate) trait Simd: Copy + Send + Sync + 'static {
    /// A vector.
    type F32: Copy;
    /// f32 in a vector: 8 or 16. Divides [`MOST_LANES`].
    const LANES: usize;
    /// Vectors that the registers hold.
    const REGISTERS: usize;

    /// The same value in each lane.
    fn splat(self, value: f32) -> Self::F32;
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// The lesser; `b` where either is NaN.
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// The greater; `b` where either is NaN.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b + c`, rounded once where the tier has the instruction.
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// The nearest whole number, ties to even.
    fn round(self, a: Self::F32) -> Self::F32;
    /// 2 to the power of whole numbers in -126 ..= 127.
    fn power_of_two(self, a: Self::F32) -> Self::F32;
    /// Lanes `i` and `i ^ APART` in each other's place; `APART` is a power of two below `LANES`.
    fn swap<const APART: usize>(self, a: Self::F32) -> Self::F32;
    /// The sum of the lanes.
    fn sum(self, a: Self::F32) -> f32;
    /// The greatest lane.
    fn greatest(self, a: Self::F32) -> f32;

    /// # Safety
    ///
    /// `from` is valid for reads of `LANES` f32.
    unsafe fn load(self, from: *const f32) -> Self::F32;
    /// # Safety
    ///
    /// `to` is valid for writes of `LANES` f32.
    unsafe fn store(self, to: *mut f32, value: Self::F32);
    /// Converts whole numbers; those of more than 24 bits are rounded to nearest, ties to even.
    ///
    /// # Safety
    ///
    /// `from` is valid for reads of `LANES` i32.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // Sums of AMX, elsewhere in tests only.
    unsafe fn load_i32(self, from: *const i32) -> Self::F32;
    /// Widens IEEE half precision.
    ///
    /// # Safety
    ///
    /// `from` is valid for reads of `LANES` u16.
    unsafe fn load_f16(self, from: *const u16) -> Self::F32;
    /// Narrows to IEEE half precision, to nearest, ties to even.
    ///
    /// # Safety
    ///
    /// `to` is valid for writes of `LANES` u16.
    unsafe fn store_f16(self, to: *mut u16, value: Self::F32);
    /// Narrows whole numbers in -127 ..= 127 to bytes; others give some byte.
    ///
    /// # Safety
    ///
    /// `to` is valid for writes of `LANES` i8.
    unsafe fn store_i8(self, to: *mut i8, value: Self::F32);
    /// Widens pairs of bfloat16: the first of each pair, and the second of each.
    ///
    /// # Safety
    ///
    /// `from` is valid for reads of `2 * LANES` u16.
    unsafe fn load_bf16_pairs(self, from: *const u16) -> [Self::F32; 2];

    /// Zero in each lane.
    #[inline(always)]
    fn zero(self) -> Self::F32 {
        self.splat(0.0)
    }

    /// The exponential function: at most 2 ulp off in -87 ..= 88; 0 for less, infinity for more,
    /// NaN for NaN. `e^x = 2^n e^r` with `n` whole and `|r| <= ln(2)/2`; `e^r` by its Taylor
    /// polynomial of degree 7, and `2^n` in two steps so that neither leaves the range of f32.
    #[inline(always)]
    fn exp(self, x: Self::F32) -> Self::F32 {
        const LOG2_E: f32 = std::f32::consts::LOG2_E;
        // ln 2 in two parts, the first with so few bits that `n` times it is exact.
        const LN_2_HIGH: f32 = 0.693_359_4;
        const LN_2_LOW: f32 = -2.121_944_4e-4;
        const TAYLOR: [f32; 6] = [
            1.0 / 5040.0,
            1.0 / 720.0,
            1.0 / 120.0,
            1.0 / 24.0,
            1.0 / 6.0,
            0.5,
        ];
        // `min` and `max` give their second argument for NaN, which so survives.
        let clamped = self.max(self.splat(-104.0), self.min(self.splat(89.0), x));
        let n = self.round(self.mul(clamped, self.splat(LOG2_E)));
        let r = self.mul_add(n, self.splat(-LN_2_HIGH), clamped);
        let r = self.mul_add(n, self.splat(-LN_2_LOW), r);
        let mut p = self.splat(TAYLOR[0]);
        for coefficient in &TAYLOR[1..] {
            p = self.mul_add(p, r, self.splat(*coefficient));
        }
        let p = self.mul_add(self.mul(p, r), r, self.add(r, self.splat(1.0)));
        let half = self.round(self.mul(n, self.splat(0.5)));
        let rest = self.sub(n, half);
        self.mul(
            self.mul(p, self.power_of_two(half)),
            self.power_of_two(rest),
        )
    }

    /// The first lanes from `from`, and zeros for the others.
    #[inline(always)]
    fn load_first(self, from: &[f32]) -> Self::F32 {
        let mut lanes = [0.0; MOST_LANES];
        let count = from.len().min(Self::LANES);
        lanes[..count].copy_from_slice(&from[..count]);
        // SAFETY: the buffer has MOST_LANES >= LANES values.
        unsafe { self.load(lanes.as_ptr()) }
    }

    /// Stores as many lanes as `to` has room for.
    #[inline(always)]
    fn store_first(self, to: &mut [f32], value: Self::F32) {
        let mut lanes = [0.0; MOST_LANES];
        // SAFETY: the buffer has MOST_LANES >= LANES values.
        unsafe { self.store(lanes.as_mut_ptr(), value) };
        let count = to.len().min(Self::LANES);
        to[..count].copy_from_slice(&lanes[..count]);
    }

    /// Replaces each value by a function of it, vector by vector.
    #[inline(always)]
    fn map_in_place(self, values: &mut [f32], function: impl Fn(Self::F32) -> Self::F32) {
        let mut chunks = values.chunks_exact_mut(Self::LANES);
        for chunk in &mut chunks {
            // SAFETY: a chunk has LANES values.
            unsafe { self.store(chunk.as_mut_ptr(), function(self.load(chunk.as_ptr()))) };
        }
        let rest = chunks.into_remainder();
        if !rest.is_empty() {
            self.store_first(rest, function(self.load_first(rest)));
        }
    }

    /// Folds values into lanes of `start`, vector by vector; a last partial vector is filled up
    /// with `filler`.
    #[inline(always)]
    fn fold(
        self,
        values: &[f32],
        filler: f32,
        start: Self::F32,
        step: impl Fn(Self::F32, Self::F32) -> Self::F32,
    ) -> Self::F32 {
        let chunks = values.chunks_exact(Self::LANES);
        let rest = chunks.remainder();
        let mut lanes = start;
        for chunk in chunks {
            // SAFETY: a chunk has LANES values.
            lanes = step(lanes, unsafe { self.load(chunk.as_ptr()) });
        }
        if !rest.is_empty() {
            let mut filled = [filler; MOST_LANES];
            filled[..rest.len()].copy_from_slice(rest);
            // SAFETY: the buffer has MOST_LANES >= LANES values.
            lanes = step(lanes, unsafe { self.load(filled.as_ptr()) });
        }
        lanes
    }
}

/// Work that is written once for all tiers. `run` must be `#[inline(always)]`, and so must every
/// function that it calls and that takes a `Simd`.
pub(crate) trait Kernel {
    type Output;
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

impl Supported {
    /// Runs a kernel, compiled for this tier.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Supported::Scalar => kernel.run(ScalarLanes),
            #[cfg(target_arch = "x86_64")]
            Supported::Avx2(proof) => avx2::run(proof, kernel),
            #[cfg(target_arch = "x86_64")]
            Supported::Avx512(proof) => avx512::run(proof, kernel),
        }
    }
}
