//! The tile unit's model on every machine, whatever moves its sums.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::product::Task;
use super::{DenseFormat, DenseInputs, DenseMatrix, amx};
use crate::amx::model::ModelUnit;
use crate::disjoint::Disjoint;
use crate::isa::{Isa, Supported};
use crate::output::Output;
use crate::team::Team;

/// Rows, columns and tokens: fewer than a register has, exactly as many, more than a chunk or a part.
const SHAPES: [(usize, usize, usize); 9] = [
    (1, 1, 1),
    (16, 32, 16),
    (17, 33, 17),
    (48, 64, 32),
    (33, 31, 33),
    (40, 544, 5),
    (31, 1100, 47),
    (5, 96, 300),
    (64, 512, 0),
];

fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..count).map(|_| random.random_range(-1.0..1.0)).collect()
}

fn product(
    cpu: Supported,
    matrix: &DenseMatrix,
    inputs: &[f32],
    tokens: usize,
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let inputs = DenseInputs::rounded(inputs, tokens, matrix.columns());
    let mut out = vec![f32::NAN; tokens * matrix.rows()];
    let output = Output {
        values: Disjoint::new(&mut out),
        stride: matrix.rows(),
        offset: 0,
        bias,
    };
    let task = Task::new(matrix, &inputs, output);
    amx::product(cpu, &mut ModelUnit::new(), task);
    out
}

fn rounded(value: f32) -> f64 {
    half::bf16::from_f32(value).to_f64()
}

#[test]
fn every_shape_is_near_the_truth_on_every_machine() {
    for (number, (rows, columns, tokens)) in (1..).zip(SHAPES) {
        let weights = random(rows * columns, number);
        let inputs = random(tokens * columns, 100 + number);
        let bias = random(rows, 200 + number);
        let format = DenseFormat::Bf16;
        let team = Team::alone();
        let matrix = DenseMatrix::from_f32(&team, format, &weights, rows, columns).unwrap();
        for bias in [None, Some(&bias[..])] {
            let scalar = product(Supported::Scalar, &matrix, &inputs, tokens, bias);
            for (at, found) in scalar.iter().enumerate() {
                let (token, row) = (at / rows, at % rows);
                let start = bias.map_or(0.0, |bias| f64::from(bias[row]));
                let (mut truth, mut size) = (start, start.abs());
                for column in 0..columns {
                    let product = rounded(weights[row * columns + column])
                        * rounded(inputs[token * columns + column]);
                    truth += product;
                    size += product.abs();
                }
                let most = 2.0 * (columns as f64 + 1.0) * 2f64.powi(-24) * size;
                let error = (f64::from(*found) - truth).abs();
                assert!(error <= most, "{rows}x{columns}, {tokens} tokens, {at}");
            }
            for cpu in Isa::ALL.into_iter().filter_map(Supported::new) {
                let found = product(cpu, &matrix, &inputs, tokens, bias);
                assert_eq!(found, scalar, "{cpu:?} {rows}x{columns}, {tokens} tokens");
            }
        }
    }
}

#[test]
fn a_token_has_the_same_bits_alone_and_among_others() {
    let (rows, columns, tokens) = (37, 700, 70);
    let team = Team::alone();
    let weights = random(rows * columns, 1);
    let matrix = DenseMatrix::from_f32(&team, DenseFormat::Bf16, &weights, rows, columns).unwrap();
    let inputs = random(tokens * columns, 2);
    let together = product(Supported::Scalar, &matrix, &inputs, tokens, None);
    for count in [1, 2, 15, 16, 17, 33] {
        let first = tokens - count;
        let inputs = &inputs[first * columns..];
        let alone = product(Supported::Scalar, &matrix, inputs, count, None);
        assert_eq!(alone, together[first * rows..], "{count} tokens");
    }
}

#[test]
fn weights_beyond_the_last_column_are_not_multiplied() {
    // What follows a tile's last pair in memory is the next tile, here infinities.
    let (rows, columns, tokens) = (32, 34, 3);
    let mut weights = vec![1.0; rows * columns];
    weights[16 * columns..].fill(f32::INFINITY);
    let team = Team::alone();
    let matrix = DenseMatrix::from_f32(&team, DenseFormat::Bf16, &weights, rows, columns).unwrap();
    let inputs = vec![1.0; tokens * columns];
    let found = product(Supported::Scalar, &matrix, &inputs, tokens, None);
    for found in found.chunks_exact(rows) {
        assert_eq!(found[..16], [34.0; 16]);
        assert_eq!(found[16..], [f32::INFINITY; 16]);
    }
}
