//! Plain Rust on arrays of eight, which the compiler vectorises for the target's baseline.

use half::f16;

use super::Simd;

const LANES: usize = 8;

/// Every machine has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScalarLanes;

#[inline(always)]
fn map(a: [f32; LANES], function: impl Fn(f32) -> f32) -> [f32; LANES] {
    a.map(function)
}

#[inline(always)]
fn zip(a: [f32; LANES], b: [f32; LANES], function: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    std::array::from_fn(|lane| function(a[lane], b[lane]))
}

/// Widens half precision without a branch, so that the compiler can do all lanes at once: exponent
/// and fraction move to their places, and a multiplication by a power of two, which is exact even
/// for denormal numbers, corrects the exponent's bias. Infinities and NaN keep the largest exponent.
#[inline(always)]
fn widen_f16(bits: u16) -> f32 {
    const BIAS: f32 = f32::from_bits((127 + 127 - 15) << 23);
    let magnitude = u32::from(bits & 0x7fff) << 13;
    let scaled = (f32::from_bits(magnitude) * BIAS).to_bits();
    let unscaled = magnitude | 0x7f80_0000;
    let is_finite = u32::from(bits & 0x7fff < 0x7c00).wrapping_neg();
    let widened = (scaled & is_finite) | (unscaled & !is_finite);
    f32::from_bits(widened | u32::from(bits & 0x8000) << 16)
}

impl Simd for ScalarLanes {
    type F32 = [f32; LANES];
    const LANES: usize = LANES;
    const REGISTERS: usize = 16;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F32 {
        [value; LANES]
    }

    #[inline(always)]
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32 {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    /// Rounded twice: without the instruction, `f32::mul_add` is a slow call.
    #[inline(always)]
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32 {
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }

    #[inline(always)]
    fn round(self, a: Self::F32) -> Self::F32 {
        map(a, f32::round_ties_even)
    }

    #[inline(always)]
    fn power_of_two(self, a: Self::F32) -> Self::F32 {
        map(a, |a| f32::from_bits(((a as i32 + 127) as u32) << 23))
    }

    #[inline(always)]
    fn swap<const APART: usize>(self, a: Self::F32) -> Self::F32 {
        std::array::from_fn(|lane| a[lane ^ APART])
    }

    #[inline(always)]
    fn sum(self, a: Self::F32) -> f32 {
        a.iter().sum()
    }

    #[inline(always)]
    fn greatest(self, a: Self::F32) -> f32 {
        a.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::F32 {
        // SAFETY: the caller promises LANES f32; an array of them may be read unaligned.
        unsafe { from.cast::<Self::F32>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, value: Self::F32) {
        // SAFETY: the caller promises room for LANES f32.
        unsafe { to.cast::<Self::F32>().write_unaligned(value) }
    }

    #[inline(always)]
    unsafe fn load_i32(self, from: *const i32) -> Self::F32 {
        // SAFETY: the caller promises LANES i32.
        let whole = unsafe { from.cast::<[i32; LANES]>().read_unaligned() };
        whole.map(|whole| whole as f32)
    }

    #[inline(always)]
    unsafe fn load_f16(self, from: *const u16) -> Self::F32 {
        // SAFETY: the caller promises LANES u16.
        let bits = unsafe { from.cast::<[u16; LANES]>().read_unaligned() };
        bits.map(widen_f16)
    }

    #[inline(always)]
    unsafe fn store_f16(self, to: *mut u16, value: Self::F32) {
        let bits = value.map(|value| f16::from_f32(value).to_bits());
        // SAFETY: the caller promises room for LANES u16.
        unsafe { to.cast::<[u16; LANES]>().write_unaligned(bits) }
    }

    #[inline(always)]
    unsafe fn store_i8(self, to: *mut i8, value: Self::F32) {
        // SAFETY: the caller promises room for LANES i8.
        unsafe {
            to.cast::<[i8; LANES]>()
                .write_unaligned(value.map(|value| value as i8))
        }
    }

    #[inline(always)]
    unsafe fn load_bf16_pairs(self, from: *const u16) -> [Self::F32; 2] {
        // SAFETY: the caller promises LANES pairs of u16.
        let pairs = unsafe { from.cast::<[u32; LANES]>().read_unaligned() };
        let lower = pairs.map(|pair| f32::from_bits(pair << 16));
        let upper = pairs.map(|pair| f32::from_bits(pair & 0xffff_0000));
        match cfg!(target_endian = "little") {
            true => [lower, upper],
            false => [upper, lower],
        }
    }
}
