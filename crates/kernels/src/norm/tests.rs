//! Every tier against f64, at sizes around the vectors' width.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::add::add_on;
use super::layer::layer_norm_on;
use super::rms::rms_norm_on;
use crate::Error;
use crate::isa::{Isa, Supported};

const WIDTHS: [usize; 9] = [1, 2, 7, 8, 15, 16, 17, 384, 577];
const EPSILON: f32 = 1e-5;

fn tiers() -> impl Iterator<Item = Supported> {
    Isa::ALL.into_iter().filter_map(Supported::new)
}

fn random(seed: u64, length: usize) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..length)
        .map(|_| random.random_range(-2.0..2.0))
        .collect()
}

fn assert_near(found: &[f32], truth: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), truth.len(), "{what}");
    for (at, (found, truth)) in found.iter().zip(truth).enumerate() {
        let error = (f64::from(*found) - truth).abs();
        assert!(
            error <= tolerance * truth.abs().max(1.0),
            "{what}: [{at}] is {found}, not {truth}"
        );
    }
}

fn rms_norm_in_f64(input: &[f32], scale: &[f32]) -> Vec<f64> {
    let rows = input.chunks(scale.len());
    rows.flat_map(|row| {
        let squares: f64 = row.iter().map(|x| f64::from(*x).powi(2)).sum();
        let factor = 1.0 / (squares / row.len() as f64 + f64::from(EPSILON)).sqrt();
        let row = row.iter().zip(scale);
        row.map(move |(x, scale)| f64::from(*x) * factor * f64::from(*scale))
            .collect::<Vec<_>>()
    })
    .collect()
}

fn layer_norm_in_f64(input: &[f32], scale: &[f32], shift: &[f32]) -> Vec<f64> {
    let rows = input.chunks(scale.len());
    rows.flat_map(|row| {
        let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / row.len() as f64;
        let squares: f64 = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum();
        let factor = 1.0 / (squares / row.len() as f64 + f64::from(EPSILON)).sqrt();
        let components = row.iter().zip(scale).zip(shift);
        components
            .map(move |((x, scale), shift)| {
                (f64::from(*x) - mean) * factor * f64::from(*scale) + f64::from(*shift)
            })
            .collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn rms_norm_is_near_the_truth_on_every_tier() {
    for width in WIDTHS {
        let (input, scale) = (random(1, 3 * width), random(2, width));
        let truth = rms_norm_in_f64(&input, &scale);
        for cpu in tiers() {
            let mut out = vec![f32::NAN; input.len()];
            rms_norm_on(cpu, &input, &scale, EPSILON, &mut out).unwrap();
            assert_near(&out, &truth, 1e-6, &format!("{cpu:?}, width {width}"));
        }
    }
}

#[test]
fn layer_norm_is_near_the_truth_on_every_tier_even_far_from_zero() {
    for width in WIDTHS {
        let (mut input, scale, shift) = (random(3, 3 * width), random(4, width), random(5, width));
        // The second row lies far from zero, where the difference of large sums would be noise.
        input[width..2 * width]
            .iter_mut()
            .for_each(|x| *x += 1000.0);
        let truth = layer_norm_in_f64(&input, &scale, &shift);
        for cpu in tiers() {
            let mut values = input.clone();
            layer_norm_on(cpu, &mut values, &scale, &shift, EPSILON).unwrap();
            let (near, rest) = values.split_at(width);
            let (far, last) = rest.split_at(width);
            let what = format!("{cpu:?}, width {width}");
            assert_near(near, &truth[..width], 2e-6, &what);
            // Here the mean itself is off by up to an ulp of 1000, 6e-5; a row of one or two
            // values divides that by a deviation of next to nothing.
            if width > 2 {
                assert_near(far, &truth[width..2 * width], 1e-3, &what);
            }
            assert_near(last, &truth[2 * width..], 2e-6, &what);
        }
    }
}

#[test]
fn sums_are_exact() {
    for width in WIDTHS {
        let (values, other) = (random(6, 3 * width), random(7, 3 * width));
        for cpu in tiers() {
            let mut found = values.clone();
            add_on(cpu, &mut found, &other).unwrap();
            let expected = values.iter().zip(&other).map(|(a, b)| a + b);
            assert_eq!(found, expected.collect::<Vec<_>>(), "{cpu:?}, {width}");
        }
    }
}

#[test]
fn zeros_denormals_and_nan_come_out_as_the_formula_says() {
    for cpu in tiers() {
        let scale = [1.0; 5];
        let mut out = [f32::NAN; 15];
        let mut input = [0.0; 15];
        input[5..10].fill(1e-40);
        input[12] = f32::NAN;
        rms_norm_on(cpu, &input, &scale, EPSILON, &mut out).unwrap();
        assert_eq!(out[..5], [0.0; 5], "{cpu:?}");
        assert!(
            out[5..10].iter().all(|x| (*x - 3.16e-38).abs() < 1e-39),
            "{cpu:?}: {out:?}"
        );
        assert!(out[10..].iter().all(|x| x.is_nan()), "{cpu:?}");
        let mut values = [7.0; 5];
        layer_norm_on(cpu, &mut values, &scale, &[0.5; 5], EPSILON).unwrap();
        assert_eq!(
            values, [0.5; 5],
            "{cpu:?}: a row of equal values is all shift"
        );
    }
}

#[test]
fn nothing_to_do_is_no_error_and_misfits_are() {
    let (mut none, mut out) = ([0.0; 0], [9.0; 4]);
    assert_eq!(crate::rms_norm(&[], &[1.0; 3], EPSILON, &mut none), Ok(()));
    assert_eq!(crate::rms_norm(&[], &[], EPSILON, &mut none), Ok(()));
    assert_eq!(crate::layer_norm(&mut none, &[], &[], EPSILON), Ok(()));
    assert_eq!(crate::add(&mut none, &[]), Ok(()));
    assert_eq!(
        crate::rms_norm(&[1.0; 4], &[1.0; 3], EPSILON, &mut out),
        Err(Error::PartialVector {
            argument: "input",
            dimension: 3,
            received: 4
        })
    );
    assert_eq!(
        crate::add(&mut out, &[1.0; 3]),
        Err(Error::Length {
            argument: "other",
            expected: 4,
            received: 3
        })
    );
    assert!(crate::rms_norm(&[1.0; 3], &[1.0; 3], EPSILON, &mut out).is_err());
    assert!(crate::rms_norm(&[1.0; 4], &[], EPSILON, &mut out).is_err());
    assert!(crate::layer_norm(&mut out, &[1.0; 2], &[1.0; 3], EPSILON).is_err());
    assert!(crate::layer_norm(&mut out, &[1.0; 3], &[1.0; 3], EPSILON).is_err());
    assert_eq!(out, [9.0; 4], "a refused call changes nothing");
}
