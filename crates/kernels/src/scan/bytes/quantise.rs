//! One vector, rounded to bytes with one scale.
//!
//! Plain loops over a fixed number of lanes: the compiler makes them vectors of each tier, and the
//! results are the same in all.

use crate::simd::{Kernel, Simd};

/// The greatest code.
const MOST_CODE: f32 = 127.0;
/// The greatest scale: times the greatest code it is still within f32.
const MOST_SCALE: f32 = (f32::MAX / MOST_CODE).next_down();
/// Adding it to a number of small magnitude rounds that to a whole number, ties to even, which is
/// then in the lowest bits: 1.5 * 2^23.
const ROUNDER: f32 = 12_582_912.0;
/// Infinity, and the least of the magnitudes that are no numbers.
const INFINITY_BITS: u32 = 0x7f80_0000;
/// Lanes of the sums.
const LANES: usize = 16;

/// What a vector is besides its codes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Quantised {
    /// The vector is nearly this times its codes.
    pub(super) scale: f32,
    /// The norm of what the vector is more, rounded up.
    pub(super) error: f32,
    /// The norm of scale times codes, rounded up.
    pub(super) norm: f32,
    /// The sum of the codes.
    pub(super) sum: i32,
}

/// Rounds one vector; the codes are as many. `None` if a component is not finite.
pub(super) struct Quantise<'a> {
    pub(super) values: &'a [f32],
    pub(super) codes: &'a mut [i8],
}

impl Kernel for Quantise<'_> {
    type Output = Option<Quantised>;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> Option<Quantised> {
        let greatest = greatest_magnitude(self.values)?;
        // A vector so small that its scale has no inverse is all error.
        let (scale, inverse) = match greatest / MOST_CODE {
            scale if scale >= f32::MIN_POSITIVE => (scale.min(MOST_SCALE), 1.0 / scale),
            _ => (0.0, 0.0),
        };
        for (code, value) in self.codes.iter_mut().zip(self.values) {
            *code = (value * inverse + ROUNDER)
                .to_bits()
                .wrapping_sub(ROUNDER.to_bits()) as i8;
        }
        let (sum, squares) = sums(self.codes);
        Some(Quantised {
            scale,
            error: rounded_up(squared_error(self.values, self.codes, scale).sqrt()),
            norm: rounded_up(f64::from(scale) * f64::from(squares).sqrt()),
            sum,
        })
    }
}

/// `None` if a component is not finite. Magnitudes of floats are ordered as their bits are.
#[inline(always)]
fn greatest_magnitude(values: &[f32]) -> Option<f32> {
    let mut greatest = [0u32; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (greatest, value) in greatest.iter_mut().zip(chunk) {
            *greatest = (*greatest).max(value.to_bits() & !(1 << 31));
        }
    }
    for (greatest, value) in greatest.iter_mut().zip(rest) {
        *greatest = (*greatest).max(value.to_bits() & !(1 << 31));
    }
    let greatest = greatest.into_iter().fold(0, u32::max);
    (greatest < INFINITY_BITS).then_some(f32::from_bits(greatest))
}

/// The sum of the codes and of their squares, which fits because of the limit on components.
#[inline(always)]
fn sums(codes: &[i8]) -> (i32, i32) {
    let (mut sum, mut squares) = (0, 0);
    for code in codes {
        let code = i32::from(*code);
        sum += code;
        squares += code * code;
    }
    (sum, squares)
}

/// In f64, where a component's error is rounded once, far below what counts.
#[inline(always)]
fn squared_error(values: &[f32], codes: &[i8], scale: f32) -> f64 {
    let scale = f64::from(scale);
    let square = |value: f32, code: i8| {
        let error = f64::from(value) - scale * f64::from(code);
        error * error
    };
    let mut sums = [0.0; LANES];
    let (values, last_values) = values.as_chunks::<LANES>();
    let (codes, last_codes) = codes.as_chunks::<LANES>();
    for (values, codes) in values.iter().zip(codes) {
        for lane in 0..LANES {
            sums[lane] += square(values[lane], codes[lane]);
        }
    }
    for ((sum, value), code) in sums.iter_mut().zip(last_values).zip(last_codes) {
        *sum += square(*value, *code);
    }
    sums.iter().sum()
}

/// The least f32 that is not less than a number, or than what rounding in f64 may have taken from it.
fn rounded_up(value: f64) -> f32 {
    let value = value * (1.0 + 1e-10);
    let rounded = value as f32;
    match f64::from(rounded) < value {
        true => rounded.next_up(),
        false => rounded,
    }
}
