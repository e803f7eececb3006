//! Every tier against f64, over the whole range and at its ends.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::gated::{gelu_tanh_product_on, silu_product_on};
use super::pointwise::{gelu_on, gelu_tanh_on, relu_on};
use super::softmax::softmax_on;
use crate::isa::{Isa, Supported};

const WIDTHS: [usize; 8] = [1, 2, 7, 8, 15, 16, 17, 577];

fn tiers() -> impl Iterator<Item = Supported> {
    Isa::ALL.into_iter().filter_map(Supported::new)
}

fn random(seed: u64, length: usize, size: f32) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..length)
        .map(|_| random.random_range(-size..size))
        .collect()
}

/// Near zero densely, beyond it sparsely, and the smallest and largest numbers.
fn inputs() -> Vec<f32> {
    let mut inputs: Vec<f32> = (-60_000..60_000).map(|n| n as f32 * 2e-4).collect();
    inputs.extend([0.0, -0.0, 1e-40, -1e-40, f32::MIN_POSITIVE, 1e-20, -1e-20]);
    inputs.extend([50.0, -50.0, 87.5, -87.5, 100.0, -100.0, 1e20, -1e20]);
    inputs
}

/// The normal distribution function by Simpson's rule over its density from 0 to `x`: an error
/// below 1e-10, with no formula in common with the kernel.
fn normal_distribution(x: f64) -> f64 {
    let density = |t: f64| (-0.5 * t * t).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let end = x.clamp(-10.0, 10.0);
    let steps = 400;
    let step = end / f64::from(steps);
    let sum: f64 = (0..=steps)
        .map(|n| {
            let weight = match n {
                0 => 1.0,
                n if n == steps => 1.0,
                n if n % 2 == 1 => 4.0,
                _ => 2.0,
            };
            weight * density(f64::from(n) * step)
        })
        .sum();
    0.5 + sum * step / 3.0
}

fn gelu_in_f64(x: f64) -> f64 {
    // Beyond 10 the tail is below 1e-23, less than Simpson's rule resolves.
    if x < -10.0 {
        return 0.0;
    }
    x * normal_distribution(x)
}

fn gelu_tanh_in_f64(x: f64) -> f64 {
    let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
    0.5 * x * (1.0 + u.tanh())
}

fn silu_in_f64(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

fn assert_near(inputs: &[f32], found: &[f32], truth: impl Fn(f64) -> f64, what: &str) {
    for (x, found) in inputs.iter().zip(found) {
        let truth = truth(f64::from(*x));
        let error = (f64::from(*found) - truth).abs();
        assert!(
            error <= 5e-7f64.max(2.5e-7 * truth.abs()),
            "{what}: f({x}) is {found}, not {truth}"
        );
    }
}

#[test]
fn activations_are_near_the_truth_on_every_tier() {
    let inputs = inputs();
    for cpu in tiers() {
        let mut found = inputs.clone();
        gelu_on(cpu, &mut found);
        assert_near(&inputs, &found, gelu_in_f64, &format!("{cpu:?} gelu"));
        let mut found = inputs.clone();
        gelu_tanh_on(cpu, &mut found);
        assert_near(&inputs, &found, gelu_tanh_in_f64, &format!("{cpu:?} tanh"));
        let mut found = inputs.clone();
        relu_on(cpu, &mut found);
        assert_near(&inputs, &found, |x| x.max(0.0), &format!("{cpu:?} relu"));
    }
}

#[test]
fn activations_at_infinity_and_nan() {
    for cpu in tiers() {
        for activate in [gelu_on, gelu_tanh_on, relu_on] {
            let mut values = [f32::NAN, f32::INFINITY, 3.0];
            activate(cpu, &mut values);
            assert!(values[0].is_nan(), "{cpu:?}");
            assert_eq!(values[1], f32::INFINITY, "{cpu:?}");
            assert!(values[2] > 2.9, "{cpu:?}: its neighbours do not touch it");
        }
        let mut values = [f32::NEG_INFINITY];
        gelu_on(cpu, &mut values);
        assert_eq!(values, [0.0], "{cpu:?}");
    }
}

#[test]
fn gated_products_are_near_the_truth_on_every_tier() {
    for width in WIDTHS {
        let gate_up = random(1, 3 * 2 * width, 9.0);
        let truth = |activate: fn(f64) -> f64| {
            let rows = gate_up.chunks(2 * width);
            let pairs = rows.flat_map(|row| row[..width].iter().zip(&row[width..]));
            pairs
                .map(|(gate, up)| activate(f64::from(*gate)) * f64::from(*up))
                .collect::<Vec<_>>()
        };
        for cpu in tiers() {
            for (product, truth) in [
                (
                    silu_product_on as fn(_, &[f32], &mut [f32], _) -> _,
                    truth(silu_in_f64),
                ),
                (gelu_tanh_product_on, truth(gelu_tanh_in_f64)),
            ] {
                let mut out = vec![f32::NAN; 3 * width];
                product(cpu, &gate_up, &mut out, width).unwrap();
                for (found, truth) in out.iter().zip(&truth) {
                    let error = (f64::from(*found) - truth).abs();
                    assert!(
                        error < 2e-6 * truth.abs().max(1.0),
                        "{cpu:?}, width {width}"
                    );
                }
            }
        }
    }
}

#[test]
fn softmax_is_near_the_truth_on_every_tier() {
    for width in WIDTHS {
        let mut values = random(4, 3 * width, 20.0);
        // Large values must not overflow, and -inf is how a masked one is written.
        values[width..2 * width].iter_mut().for_each(|x| *x += 3e6);
        if width > 1 {
            values[2 * width] = f32::NEG_INFINITY;
        }
        for cpu in tiers() {
            let mut found = values.clone();
            softmax_on(cpu, &mut found, width).unwrap();
            for (row, found) in values.chunks(width).zip(found.chunks(width)) {
                let greatest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let powers = row.iter().map(|x| f64::from(x - greatest).exp());
                let powers: Vec<f64> = powers.collect();
                let sum: f64 = powers.iter().sum();
                for (found, power) in found.iter().zip(&powers) {
                    let error = (f64::from(*found) - power / sum).abs();
                    assert!(error < 1e-6, "{cpu:?}, width {width}: off by {error}");
                }
            }
        }
    }
}

#[test]
fn nothing_to_do_is_no_error_and_misfits_are() {
    let (mut none, mut out) = ([0.0; 0], [9.0; 4]);
    assert_eq!(crate::softmax(&mut none, 0), Ok(()));
    assert_eq!(crate::silu_product(&[], &mut none, 0), Ok(()));
    assert_eq!(crate::gelu_tanh_product(&[], &mut none, 5), Ok(()));
    crate::gelu(&mut none);
    assert!(crate::softmax(&mut out, 3).is_err());
    assert!(crate::softmax(&mut out, 0).is_err());
    assert!(crate::silu_product(&[1.0; 8], &mut out, 3).is_err());
    assert!(crate::silu_product(&[1.0; 7], &mut out, 4).is_err());
    assert_eq!(out, [9.0; 4], "a refused call changes nothing");
}
