//! Every tier that the machine has against the scalar one, and the scalar one against f64.
//!
//! Tolerance: |difference| <= 2 * n * eps * (sum of the absolute terms), the textbook bound for
//! adding n terms in any order, plus n of the smallest positive numbers for what underflows.

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

/// The value and the sum of the absolute terms, in f64.
fn exact<const L2: bool>(a: &[f32], b: &[f32]) -> (f64, f64) {
    let terms = a.iter().zip(b).map(|(&a, &b)| {
        let (a, b) = (f64::from(a), f64::from(b));
        if L2 { (a - b) * (a - b) } else { a * b }
    });
    terms.fold((0.0, 0.0), |(sum, absolute), term| {
        (sum + term, absolute + term.abs())
    })
}

fn assert_near<const L2: bool>(isa: Isa, a: &[f32], b: &[f32], received: f32) {
    let (expected, absolute) = exact::<L2>(a, b);
    let n = a.len() as f64;
    let tolerance = 2.0 * n * f64::from(f32::EPSILON) * absolute + n * f64::from(f32::from_bits(1));
    let difference = (f64::from(received) - expected).abs();
    assert!(
        difference <= tolerance,
        "{isa}, {n} components: {received} instead of {expected}, tolerance {tolerance}"
    );
}

fn random(rng: &mut StdRng, length: usize, scale: f32) -> Vec<f32> {
    (0..length)
        .map(|_| rng.random_range(-scale..scale))
        .collect()
}

fn check_pairs<const L2: bool>(scale: f32) {
    let mut rng = StdRng::seed_from_u64(7);
    for length in 0..=130 {
        for start in 0..4 {
            let a = random(&mut rng, start + length, scale);
            let b = random(&mut rng, start + 1 + length, scale);
            let (a, b) = (&a[start..], &b[start + 1..]);
            for (isa, cpu) in tiers() {
                let received = one_to_one::<L2>(cpu, a, b).unwrap();
                assert_near::<L2>(isa, a, b, received);
            }
        }
    }
}

#[test]
fn pairs_of_every_length_and_alignment() {
    for scale in [1.0, 1e-3, 1e6] {
        check_pairs::<INNER_PRODUCT>(scale);
        check_pairs::<SQUARED_L2>(scale);
    }
}

#[test]
fn denormal_numbers_are_kept() {
    check_pairs::<INNER_PRODUCT>(1e-20);
    check_pairs::<SQUARED_L2>(1e-20);
    let tiny = vec![f32::from_bits(3); 37];
    let ones = vec![1.0; 37];
    for (isa, cpu) in tiers() {
        let received = one_to_one::<INNER_PRODUCT>(cpu, &tiny, &ones).unwrap();
        assert_eq!(received, f32::from_bits(3 * 37), "{isa}");
    }
}

/// The value for a pair is the same, bit for bit, in every shape of tile.
fn check_table<const L2: bool>(cpu: Supported, isa: Isa) {
    let mut rng = StdRng::seed_from_u64(8);
    for dimension in [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 129] {
        for (query_count, row_count) in [
            (0, 3),
            (3, 0),
            (1, 1),
            (1, 9),
            (2, 4),
            (3, 5),
            (4, 8),
            (7, 11),
            (9, 3),
        ] {
            let queries = random(&mut rng, query_count * dimension, 1.0);
            let rows = random(&mut rng, row_count * dimension, 1.0);
            let mut table = vec![f32::NAN; query_count * row_count];
            many_to_many::<L2>(cpu, &queries, &rows, dimension, &mut table).unwrap();
            for (q, query) in queries.chunks(dimension).enumerate() {
                let mut line = vec![f32::NAN; row_count];
                one_to_many::<L2>(cpu, query, &rows, &mut line).unwrap();
                for (r, row) in rows.chunks(dimension).enumerate() {
                    let value = table[q * row_count + r];
                    assert_near::<L2>(isa, query, row, value);
                    let alone = one_to_one::<L2>(cpu, query, row).unwrap();
                    assert_eq!(value.to_bits(), alone.to_bits(), "{isa}, {dimension}");
                    assert_eq!(value.to_bits(), line[r].to_bits(), "{isa}, {dimension}");
                }
            }
        }
    }
}

#[test]
fn tables_equal_their_pairs_bit_for_bit() {
    for (isa, cpu) in tiers() {
        check_table::<INNER_PRODUCT>(cpu, isa);
        check_table::<SQUARED_L2>(cpu, isa);
    }
}

#[test]
fn special_values_propagate_from_every_position() {
    for (isa, cpu) in tiers() {
        for length in [1, 5, 8, 16, 19, 40, 67] {
            for position in 0..length {
                let ones = vec![1.0; length];
                let with = |value: f32| {
                    let mut vector = ones.clone();
                    vector[position] = value;
                    vector
                };
                let product =
                    |a: &[f32], b: &[f32]| one_to_one::<INNER_PRODUCT>(cpu, a, b).unwrap();
                let distance = |a: &[f32], b: &[f32]| one_to_one::<SQUARED_L2>(cpu, a, b).unwrap();
                let infinite = with(f32::INFINITY);
                assert!(product(&with(f32::NAN), &ones).is_nan(), "{isa}");
                assert!(distance(&ones, &with(f32::NAN)).is_nan(), "{isa}");
                assert_eq!(product(&infinite, &ones), f32::INFINITY, "{isa}");
                assert_eq!(
                    product(&ones, &with(f32::NEG_INFINITY)),
                    f32::NEG_INFINITY,
                    "{isa}"
                );
                assert!(product(&infinite, &with(0.0)).is_nan(), "{isa}");
                assert_eq!(distance(&infinite, &ones), f32::INFINITY, "{isa}");
                assert!(distance(&infinite, &infinite).is_nan(), "{isa}");
            }
        }
    }
}

#[test]
fn a_norm_is_the_product_with_itself() {
    assert_eq!(squared_norm(&[]), 0.0);
    assert_eq!(squared_norm(&[3.0, -4.0]), 25.0);
    let vector = random(&mut StdRng::seed_from_u64(9), 77, 1.0);
    assert_eq!(
        squared_norm(&vector),
        inner_product(&vector, &vector).unwrap()
    );
}

#[test]
fn the_public_functions_compute_what_they_say() {
    let (query, rows) = ([1.0, 2.0], [3.0, 4.0, -1.0, 0.5, 1.0, 2.0]);
    let mut out = [0.0; 3];
    inner_products(&query, &rows, &mut out).unwrap();
    assert_eq!(out, [11.0, 0.0, 5.0]);
    squared_l2s(&query, &rows, &mut out).unwrap();
    assert_eq!(out, [8.0, 6.25, 0.0]);
    let mut out = [0.0; 3];
    inner_product_table(&rows, &query, 2, &mut out).unwrap();
    assert_eq!(out, [11.0, 0.0, 5.0]);
    squared_l2_table(&rows, &query, 2, &mut out).unwrap();
    assert_eq!(out, [8.0, 6.25, 0.0]);
    assert_eq!(inner_product(&query, &rows[..2]), Ok(11.0));
    assert_eq!(squared_l2(&query, &rows[..2]), Ok(8.0));
}

#[test]
fn lengths_that_do_not_fit_are_named_and_leave_the_output_alone() {
    let length = |argument, expected, received| {
        Err(Error::Length {
            argument,
            expected,
            received,
        })
    };
    let mut out = [7.0; 2];
    assert_eq!(
        inner_product(&[1.0], &[1.0, 2.0]).map(drop),
        length("b", 1, 2)
    );
    assert_eq!(
        inner_products(&[1.0, 2.0], &[1.0; 3], &mut out),
        length("rows", 4, 3)
    );
    assert_eq!(squared_l2s(&[], &[1.0], &mut out), length("rows", 0, 1));
    assert_eq!(
        inner_product_table(&[1.0], &[1.0; 3], 1, &mut out),
        length("out", 3, 2)
    );
    let partial = |argument, dimension, received| {
        Err(Error::PartialVector {
            argument,
            dimension,
            received,
        })
    };
    assert_eq!(
        squared_l2_table(&[1.0], &[1.0; 3], 2, &mut out),
        partial("queries", 2, 1)
    );
    assert_eq!(
        squared_l2_table(&[1.0; 2], &[1.0; 3], 2, &mut out),
        partial("rows", 2, 3)
    );
    assert_eq!(
        squared_l2_table(&[], &[1.0], 0, &mut out),
        partial("rows", 0, 1)
    );
    assert_eq!(out, [7.0; 2]);
}

#[test]
fn vectors_without_components_have_product_zero() {
    let mut out = [7.0; 2];
    inner_products(&[], &[], &mut out).unwrap();
    assert_eq!(out, [0.0; 2]);
    assert_eq!(inner_product_table(&[], &[], 0, &mut []), Ok(()));
}
