//! Against sorting all inner products.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const WIDTH: usize = 8;

fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..count).map(|_| random.random_range(-1.0..1.0)).collect()
}

fn rows(values: &[f32]) -> DeviceRows {
    let mut rows = DeviceRows::new(&crate::test_device::device(), WIDTH).unwrap();
    rows.write(0, values).unwrap();
    rows
}

/// The truth, in f64.
fn sorted(values: &[f32], query: &[f32], k: usize) -> Vec<(usize, f64)> {
    let product = |row: &[f32]| -> f64 {
        let terms = row
            .iter()
            .zip(query)
            .map(|(a, b)| f64::from(*a) * f64::from(*b));
        terms.sum()
    };
    let mut all: Vec<(usize, f64)> = values.chunks(WIDTH).map(product).enumerate().collect();
    all.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
    all.truncate(k);
    all
}

fn assert_found(values: &[f32], queries: &[f32], k: usize) {
    let found = rows(values).greatest(queries, k).unwrap();
    assert_eq!(found.len(), queries.len() / WIDTH);
    for (query, found) in queries.chunks(WIDTH).zip(found) {
        let expected = sorted(values, query, k);
        assert_eq!(found.len(), expected.len());
        for ((row, score), (wanted, truth)) in found.iter().zip(&expected) {
            let close = (f64::from(*score) - truth).abs() < 1e-5;
            assert!(close, "{row}: {score}, not {wanted}: {truth}");
        }
    }
}

#[test]
fn the_greatest_are_found_among_few_and_many() {
    let queries = random(5 * WIDTH, 1);
    // One group, several, one level of maxima, two levels; whole and not.
    for count in [1, 7, 64, 65, 1000, 2048, 5000, 200_001] {
        let values = random(count * WIDTH, 2);
        for k in [1, 10, 31] {
            assert_found(&values, &queries, k);
        }
    }
    assert_found(&random(20_000 * WIDTH, 3), &queries, MOST_GREATEST);
}

/// What fills up the last group scores zero, which is greater than anything here.
#[test]
fn rows_that_are_none_are_not_found() {
    let values: Vec<f32> = random(3001 * WIDTH, 4)
        .iter()
        .map(|value| -value.abs() - 0.1)
        .collect();
    let query = vec![1.0; WIDTH];
    assert_found(&values, &query, 10);
}

#[test]
fn of_equal_rows_the_first_come_first() {
    let values = vec![0.5; 300 * WIDTH];
    let found = rows(&values)
        .greatest(&[1.0; WIDTH], 300.min(MOST_GREATEST))
        .unwrap();
    let first: Vec<usize> = found[0].iter().map(|(row, _)| *row).take(3).collect();
    assert_eq!(first, [0, 1, 2]);
}

#[test]
fn rows_are_written_over_and_forgotten() {
    let values = random(2000 * WIDTH, 5);
    let mut rows = rows(&values);
    let mut expected = values.clone();
    for (start, count) in [(0, 1), (17, 100), (1990, 50)] {
        let others = random(count * WIDTH, start as u64);
        rows.write(start, &others).unwrap();
        expected.resize(expected.len().max((start + count) * WIDTH), 0.0);
        expected[start * WIDTH..(start + count) * WIDTH].copy_from_slice(&others);
    }
    assert_eq!(rows.len(), 2040);
    rows.truncate(1500);
    expected.truncate(1500 * WIDTH);
    let query = random(WIDTH, 6);
    let found = rows.greatest(&query, 5).unwrap().concat();
    let truth = sorted(&expected, &query, 5);
    for ((row, _), (wanted, _)) in found.iter().zip(&truth) {
        assert_eq!(row, wanted);
    }
}

#[test]
fn what_cannot_be_done_is_refused() {
    let mut rows = rows(&random(10 * WIDTH, 8));
    assert!(rows.write(10, &[1.0]).is_err());
    assert!(rows.write(11, &[0.0; WIDTH]).is_err());
    assert!(rows.greatest(&[1.0], 1).is_err());
    assert!(rows.greatest(&[1.0; WIDTH], MOST_GREATEST + 1).is_err());
    assert_eq!(rows.len(), 10);
    assert_eq!(rows.greatest(&[1.0; WIDTH], 0).unwrap(), [vec![]]);
    assert_eq!(rows.greatest(&[], 1).unwrap(), Vec::<Vec<_>>::new());
}
