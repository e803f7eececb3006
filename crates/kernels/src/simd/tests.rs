//! The lanes of every tier that this machine has, against f64.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;
use crate::isa::Isa;

struct ExpOf<'a>(&'a mut [f32]);

impl Kernel for ExpOf<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        simd.map_in_place(
            self.0,
            #[inline(always)]
            |x| simd.exp(x),
        );
    }
}

fn tiers() -> impl Iterator<Item = Supported> {
    Isa::ALL.into_iter().filter_map(Supported::new)
}

#[test]
fn exp_is_near_the_truth_everywhere() {
    let mut random = StdRng::seed_from_u64(1);
    let mut inputs: Vec<f32> = (0..10_003)
        .map(|_| random.random_range(-87.0..88.0))
        .collect();
    inputs.extend([0.0, -0.0, 1.0, -1.0, 1e-30, -1e-30, f32::MIN_POSITIVE]);
    for cpu in tiers() {
        let mut found = inputs.clone();
        cpu.run(ExpOf(&mut found));
        for (x, found) in inputs.iter().zip(found) {
            let truth = f64::from(*x).exp();
            let error = (f64::from(found) - truth).abs() / truth;
            assert!(error < 2.5e-7, "{cpu:?}: exp({x}) is {found}, not {truth}");
        }
    }
}

#[test]
fn exp_at_the_ends_of_its_range() {
    for cpu in tiers() {
        let mut values = [
            f32::NEG_INFINITY,
            -1e30,
            -200.0,
            f32::INFINITY,
            1e30,
            89.0,
            f32::NAN,
        ];
        cpu.run(ExpOf(&mut values));
        assert_eq!(values[..3], [0.0; 3], "{cpu:?}");
        assert_eq!(values[3..6], [f32::INFINITY; 3], "{cpu:?}");
        assert!(values[6].is_nan(), "{cpu:?}");
    }
}

struct RoundTrips<'a>(&'a [f32], &'a mut [u16], &'a mut [f32]);

impl Kernel for RoundTrips<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let RoundTrips(values, bits, back) = self;
        for at in (0..values.len() / MOST_LANES * MOST_LANES).step_by(S::LANES) {
            // SAFETY: all slices have the same length, of which `at + LANES` is no more.
            unsafe {
                simd.store_f16(
                    bits.as_mut_ptr().add(at),
                    simd.load(values.as_ptr().add(at)),
                );
                simd.store(
                    back.as_mut_ptr().add(at),
                    simd.load_f16(bits.as_ptr().add(at)),
                );
            }
        }
    }
}

#[test]
fn halves_are_rounded_as_the_half_crate_does() {
    let mut random = StdRng::seed_from_u64(2);
    let values: Vec<f32> = (0..4096)
        .map(|_| random.random_range(-1.0f32..1.0) * 2f32.powi(random.random_range(-30..20)))
        .collect();
    for cpu in tiers() {
        let mut bits = vec![0; values.len()];
        let mut back = vec![0.0; values.len()];
        cpu.run(RoundTrips(&values, &mut bits, &mut back));
        for ((value, bits), back) in values.iter().zip(bits).zip(back) {
            let expected = half::f16::from_f32(*value);
            assert_eq!(bits, expected.to_bits(), "{cpu:?}: {value}");
            assert_eq!(back, expected.to_f32(), "{cpu:?}: {value}");
        }
    }
}

#[test]
fn every_half_is_widened_as_the_half_crate_does() {
    let bits: Vec<u16> = (0..=u16::MAX).collect();
    for cpu in tiers() {
        let mut found = vec![0.0; bits.len()];
        cpu.run(Widen(&bits, &mut found));
        for (bits, found) in bits.iter().zip(found) {
            let expected = half::f16::from_bits(*bits).to_f32();
            let equal = expected.to_bits() == found.to_bits();
            assert!(
                equal || (expected.is_nan() && found.is_nan()),
                "{cpu:?}: {bits:x}"
            );
        }
    }
}

struct Widen<'a>(&'a [u16], &'a mut [f32]);

impl Kernel for Widen<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Widen(bits, out) = self;
        for (bits, out) in bits
            .chunks_exact(S::LANES)
            .zip(out.chunks_exact_mut(S::LANES))
        {
            // SAFETY: both chunks have LANES values.
            unsafe { simd.store(out.as_mut_ptr(), simd.load_f16(bits.as_ptr())) };
        }
    }
}

struct FromWhole<'a>(&'a [i32], &'a mut [f32]);

impl Kernel for FromWhole<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (whole, out) = (self.0.chunks_exact(S::LANES), self.1);
        for (whole, out) in whole.zip(out.chunks_exact_mut(S::LANES)) {
            // SAFETY: both chunks have LANES values.
            unsafe { simd.store(out.as_mut_ptr(), simd.load_i32(whole.as_ptr())) };
        }
    }
}

#[test]
fn whole_numbers_become_the_nearest_floats() {
    let mut random = StdRng::seed_from_u64(3);
    let mut whole: Vec<i32> = (0..1020).map(|_| random.random()).collect();
    whole.extend([i32::MIN, i32::MAX, 0, (1 << 24) + 1]);
    for cpu in tiers() {
        let mut found = vec![f32::NAN; whole.len()];
        cpu.run(FromWhole(&whole, &mut found));
        let expected: Vec<f32> = whole.iter().map(|whole| *whole as f32).collect();
        assert_eq!(found, expected, "{cpu:?}");
    }
}

struct SwapAll<'a>(&'a mut [f32; MOST_LANES], usize);

impl Kernel for SwapAll<'_> {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> usize {
        let value = simd.load_first(self.0);
        let value = match self.1 {
            1 => simd.swap::<1>(value),
            2 => simd.swap::<2>(value),
            4 => simd.swap::<4>(value),
            _ if S::LANES > 8 => simd.swap::<8>(value),
            _ => value,
        };
        simd.store_first(self.0, value);
        S::LANES
    }
}

#[test]
fn swapped_lanes_are_in_each_others_place() {
    for cpu in tiers() {
        for apart in [1, 2, 4, 8] {
            let mut lanes: [f32; MOST_LANES] = std::array::from_fn(|lane| lane as f32);
            let count = cpu.run(SwapAll(&mut lanes, apart));
            for (lane, value) in lanes[..count].iter().enumerate() {
                let expected = if apart < count { lane ^ apart } else { lane };
                assert_eq!(*value, expected as f32, "{cpu:?}, {apart}");
            }
        }
    }
}
