//! Every tier against the definition, by matrices and in f64, and what the format promises.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::Isa;

fn tiers() -> Vec<(Isa, Supported)> {
    let tiers = Isa::ALL.into_iter();
    tiers
        .filter_map(|isa| Some((isa, Supported::new(isa)?)))
        .collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}

/// The definition, in f64 and by matrices.
fn rotated(vector: &[f32], seed: u64) -> Vec<f64> {
    let dimension = vector.len();
    let block = 1 << dimension.ilog2();
    let mut values: Vec<f64> = vector.iter().map(|value| f64::from(*value)).collect();
    let mut state = seed;
    for _ in 0..3 {
        let mut bits = 0;
        for (i, value) in values.iter_mut().enumerate() {
            if i % 64 == 0 {
                bits = splitmix64(&mut state);
            }
            if bits >> (i % 64) & 1 == 1 {
                *value = -*value;
            }
        }
        for first in [0, dimension - block] {
            let old = values[first..first + block].to_vec();
            for (i, value) in values[first..first + block].iter_mut().enumerate() {
                let sign = |j: usize| {
                    if (i & j).count_ones().is_multiple_of(2) {
                        1.0
                    } else {
                        -1.0
                    }
                };
                let sum: f64 = old.iter().enumerate().map(|(j, old)| sign(j) * old).sum();
                *value = sum / (block as f64).sqrt();
            }
            if block == dimension {
                break;
            }
        }
    }
    values
}

#[test]
fn every_tier_computes_the_definition() {
    let mut rng = StdRng::seed_from_u64(1);
    for dimension in (1..=70).chain([100, 128, 384, 768, 1000]) {
        let rotation = Rotation::new(dimension, dimension as u64).unwrap();
        let vectors: Vec<f32> = (0..3 * dimension)
            .map(|_| rng.random_range(-1.0..1.0))
            .collect();
        let mut scalar = vectors.clone();
        rotation.apply_on(Supported::Scalar, &mut scalar).unwrap();
        for (isa, cpu) in tiers() {
            let mut received = vectors.clone();
            rotation.apply_on(cpu, &mut received).unwrap();
            assert!(
                scalar
                    .iter()
                    .zip(&received)
                    .all(|(a, b)| a.to_bits() == b.to_bits())
            );
            let pairs = vectors.chunks(dimension).zip(received.chunks(dimension));
            for (vector, received) in pairs {
                let expected = rotated(vector, dimension as u64);
                for (received, expected) in received.iter().zip(expected) {
                    let off = (f64::from(*received) - expected).abs();
                    assert!(off < 1e-5, "{isa} {dimension}: {received} {expected}");
                }
            }
        }
    }
}

#[test]
fn norms_and_inner_products_stay() {
    let mut rng = StdRng::seed_from_u64(2);
    for dimension in [1, 2, 3, 7, 16, 31, 33, 100, 384, 768, 1024] {
        let rotation = Rotation::new(dimension, 42).unwrap();
        let before: Vec<f32> = (0..2 * dimension)
            .map(|_| rng.random_range(-1.0..1.0))
            .collect();
        let mut after = before.clone();
        rotation.apply(&mut after).unwrap();
        let (a, b) = before.split_at(dimension);
        let (rotated_a, rotated_b) = after.split_at(dimension);
        let norms = (dot(a, a) * dot(b, b)).sqrt();
        for (x, y, rotated_x, rotated_y) in [
            (a, a, rotated_a, rotated_a),
            (a, b, rotated_a, rotated_b),
            (b, b, rotated_b, rotated_b),
        ] {
            assert!((dot(x, y) - dot(rotated_x, rotated_y)).abs() < 1e-5 * norms);
        }
    }
}

#[test]
fn single_components_are_spread_over_all() {
    for dimension in [64, 100, 384, 500, 768, 1000] {
        let rotation = Rotation::new(dimension, 7).unwrap();
        for i in 0..dimension {
            let mut vector = vec![0.0; dimension];
            vector[i] = 1.0;
            rotation.apply(&mut vector).unwrap();
            let greatest = vector
                .iter()
                .fold(0.0f32, |most, value| most.max(value.abs()));
            assert!(
                greatest <= 6.0 / (dimension as f32).sqrt(),
                "{dimension} {i} {greatest}"
            );
        }
    }
}

/// The format promises these for ever.
#[test]
fn the_rotation_of_a_dimension_and_seed_never_changes() {
    let mut state = 1_234_567;
    let outputs: Vec<u64> = (0..3).map(|_| splitmix64(&mut state)).collect();
    // The reference implementation's first outputs for this seed.
    let reference = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ];
    assert_eq!(outputs, reference);
    let rotation = Rotation::new(6, 2024).unwrap();
    let signs: Vec<i8> = rotation.signs.iter().map(|sign| *sign as i8).collect();
    assert_eq!(signs, COMMITTED_SIGNS);
    let mut vector = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    rotation.apply(&mut vector).unwrap();
    for (value, expected) in vector.into_iter().zip(COMMITTED) {
        assert!((value - expected).abs() < 1e-5, "{vector:?}");
    }
}

const COMMITTED_SIGNS: [i8; 18] = [
    -1, 1, -1, 1, -1, 1, 1, -1, 1, 1, -1, 1, -1, -1, -1, -1, -1, -1,
];
const COMMITTED: [f32; 6] = [-3.75, 1.5, -2.375, 5.875, 3.625, -4.625];

#[test]
fn partial_vectors_are_refused() {
    let rotation = Rotation::new(4, 1).unwrap();
    let mut vectors = [1.0; 6];
    assert!(rotation.apply(&mut vectors).is_err());
    assert_eq!(vectors, [1.0; 6]);
    assert!(rotation.apply(&mut []).is_ok());
    assert!(Rotation::new(0, 1).unwrap().apply(&mut []).is_ok());
    assert!(Rotation::new(0, 1).unwrap().apply(&mut vectors).is_err());
    assert!(Rotation::new((1 << 17) + 1, 1).is_err());
}
