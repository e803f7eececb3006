//! Joined maps are the maps, whoever computes them.

use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::isa::Isa;
use crate::quantised::tests::{random_bytes, random_values};
use crate::{BlockFormat, Error};

fn matrix(format: BlockFormat, rows: usize, columns: usize, random: &mut StdRng) -> Matrix {
    let bytes = random_bytes(format, rows * columns / format.block_weights(), random);
    let matrix = QuantisedMatrix::pack(&Team::alone(), format, &bytes, rows, columns);
    matrix.unwrap().into()
}

fn dense(format: DenseFormat, rows: usize, columns: usize, random: &mut StdRng) -> Matrix {
    let values = random_values(rows * columns, random);
    let matrix = DenseMatrix::from_f32(&Team::alone(), format, &values, rows, columns);
    matrix.unwrap().into()
}

fn forward(linear: &Linear, team: &Team, input: &[f32]) -> Vec<f32> {
    let tokens = input.len() / linear.columns();
    let mut out = vec![f32::NAN; tokens * linear.rows()];
    linear
        .forward(team, input, &mut QuantisedRows::new(), &mut out)
        .unwrap();
    out
}

#[test]
fn joined_maps_lie_side_by_side_and_threads_do_not_matter() {
    let mut random = StdRng::seed_from_u64(8);
    let columns = 512;
    let shapes = [
        (BlockFormat::Q4_K, 100),
        (BlockFormat::Q6_K, 33),
        (BlockFormat::Q8_0, 257),
    ];
    let seeds = [1, 2, 3];
    let make = |index: usize| {
        let (format, rows) = shapes[index];
        matrix(
            format,
            rows,
            columns,
            &mut StdRng::seed_from_u64(seeds[index]),
        )
    };
    let joined = Linear::new((0..3).map(make).collect()).unwrap();
    let several = Team::new(3).unwrap();
    for tokens in [1, 2, 3, 20] {
        let input = random_values(tokens * columns, &mut random);
        let out = forward(&joined, &Team::alone(), &input);
        assert_eq!(out, forward(&joined, &several, &input));
        let mut offset = 0;
        for index in 0..3 {
            let single = Linear::new(vec![make(index)]).unwrap();
            let alone = forward(&single, &Team::alone(), &input);
            for (token, alone) in alone.chunks_exact(single.rows()).enumerate() {
                let at = token * joined.rows() + offset;
                assert_eq!(out[at..at + single.rows()], *alone);
            }
            offset += single.rows();
        }
    }
}

/// Maps of every kind, the same at each call, of numbers of rows that fill no tile.
fn maps_of_every_kind(columns: usize) -> Vec<Matrix> {
    let mut random = StdRng::seed_from_u64(12);
    let mut maps = vec![
        matrix(BlockFormat::Q4_K, 19, columns, &mut random),
        dense(DenseFormat::F32, 1, columns, &mut random),
        matrix(BlockFormat::Q8_0, 37, columns, &mut random),
    ];
    let others = [DenseFormat::Bf16, DenseFormat::F16];
    maps.extend(others.map(|format| dense(format, 45, columns, &mut random)));
    maps
}

#[test]
fn each_map_sees_its_part_of_the_bias() {
    let columns = 512;
    let without = Linear::new(maps_of_every_kind(columns)).unwrap();
    let mut random = StdRng::seed_from_u64(13);
    let bias = random_values(without.rows(), &mut random);
    let with = Linear::new(maps_of_every_kind(columns)).unwrap();
    let with = with.with_bias(bias.clone()).unwrap();
    let several = Team::new(3).unwrap();
    let tiers = Isa::ALL.into_iter().filter_map(Supported::new);
    for cpu in tiers.chain(Supported::modelled_amx()) {
        for tokens in [1, 2, 5, 13, 40] {
            let input = random_values(tokens * columns, &mut random);
            let run = |linear: &Linear, team: &Team| {
                let mut out = vec![f32::NAN; tokens * linear.rows()];
                let scratch = &mut QuantisedRows::new();
                linear
                    .forward_on(cpu, team, &input, scratch, &mut out)
                    .unwrap();
                out
            };
            let found = run(&with, &Team::alone());
            assert_eq!(found, run(&with, &several), "{cpu:?} {tokens}");
            let products = run(&without, &Team::alone());
            for (at, (found, product)) in found.iter().zip(products).enumerate() {
                let expected = f64::from(product) + f64::from(bias[at % bias.len()]);
                // Sums of 512 products of up to 9 that start elsewhere are rounded otherwise.
                let error = (f64::from(*found) - expected).abs();
                assert!(
                    error <= 1e-3,
                    "{cpu:?} {tokens} tokens, {at}: off by {error}"
                );
            }
        }
    }
}

#[test]
fn a_bias_of_another_length_is_refused() {
    let linear = || Linear::new(maps_of_every_kind(256)).unwrap();
    let rows = linear().rows();
    for received in [0, rows - 1, rows + 1] {
        let error = linear().with_bias(vec![0.0; received]).unwrap_err();
        let (argument, expected) = ("bias", rows);
        assert_eq!(
            error,
            Error::Length {
                argument,
                expected,
                received
            }
        );
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut random = StdRng::seed_from_u64(9);
    let maps = vec![
        matrix(BlockFormat::Q4_0, 4, 64, &mut random),
        matrix(BlockFormat::Q4_0, 4, 32, &mut random),
    ];
    assert!(Linear::new(maps).is_err());
    let linear = Linear::new(vec![matrix(BlockFormat::Q4_0, 4, 64, &mut random)]).unwrap();
    let team = Team::alone();
    let scratch = &mut QuantisedRows::new();
    assert!(
        linear
            .forward(&team, &[0.0; 65], scratch, &mut [0.0; 4])
            .is_err()
    );
    assert!(
        linear
            .forward(&team, &[0.0; 64], scratch, &mut [0.0; 5])
            .is_err()
    );
    assert!(linear.forward(&team, &[], scratch, &mut []).is_ok());
}
