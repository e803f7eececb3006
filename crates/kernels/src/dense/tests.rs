//! Every tier and format against f64.

use half::{bf16, f16};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::product::product_on;
use super::*;
use crate::Error;
use crate::disjoint::Disjoint;
use crate::isa::{Isa, Supported};
use crate::output::Output;
use crate::team::Team;

const SHAPES: [(usize, usize); 9] = [
    (1, 1),
    (1, 385),
    (17, 1),
    (17, 385),
    (16, 2),
    (33, 256),
    (64, 257),
    (71, 513),
    (100, 96),
];
const TOKENS: [usize; 11] = [0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 40];

fn tiers() -> impl Iterator<Item = Supported> {
    let tiers = Isa::ALL.into_iter().filter_map(Supported::new);
    tiers.chain(Supported::modelled_amx())
}

fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..count).map(|_| random.random_range(-1.0..1.0)).collect()
}

/// What a format makes of a value.
fn rounded(format: DenseFormat, value: f32) -> f32 {
    match format {
        DenseFormat::F32 => value,
        DenseFormat::F16 => f16::from_f32(value).to_f32(),
        DenseFormat::Bf16 => bf16::from_f32(value).to_f32(),
    }
}

/// Whether a product rounds its inputs to bfloat16.
fn rounds_inputs(cpu: Supported, format: DenseFormat, tokens: usize) -> bool {
    let inputs = [1.0].repeat(tokens);
    let prepared = DenseInputs::new(&Team::alone(), cpu, &[format], &inputs, tokens, 1).unwrap();
    prepared.are_rounded()
}

/// The answer to a request must not depend on who shares its batch.
#[test]
fn a_token_does_not_depend_on_how_many_others_there_are() {
    let (rows, columns, tokens) = (35, 257, 9);
    let weights = random(rows * columns, 21);
    let inputs = random(tokens * columns, 22);
    for format in DenseFormat::ALL {
        let matrix =
            DenseMatrix::from_f32(&Team::alone(), format, &weights, rows, columns).unwrap();
        for cpu in tiers() {
            let together = product(cpu, &matrix, &inputs, tokens);
            for count in [1, 2, 3, 4] {
                let alone = product(cpu, &matrix, &inputs[..count * columns], count);
                for (alone, together) in alone.iter().zip(&together) {
                    let error = (alone - together).abs();
                    assert!(
                        error <= 1e-4,
                        "{cpu:?} {format:?} {count}: {alone}, {together}"
                    );
                }
            }
        }
    }
}

/// The product with a bias, as one task.
fn product_with_bias(
    cpu: Supported,
    matrix: &DenseMatrix,
    inputs: &[f32],
    tokens: usize,
    bias: &[f32],
) -> Vec<f32> {
    let (team, formats) = (Team::alone(), [matrix.format()]);
    let columns = matrix.columns();
    let prepared = DenseInputs::new(&team, cpu, &formats, inputs, tokens, columns).unwrap();
    let mut out = vec![f32::NAN; tokens * matrix.rows()];
    let output = Output {
        values: Disjoint::new(&mut out),
        stride: matrix.rows(),
        offset: 0,
        bias: Some(bias),
    };
    // SAFETY: nobody else uses the output.
    unsafe { matrix.tile_product(cpu, 0..matrix.tiles(), &prepared, output) };
    out
}

fn product(cpu: Supported, matrix: &DenseMatrix, inputs: &[f32], tokens: usize) -> Vec<f32> {
    // What is not written stays NaN, which equals nothing.
    let mut out = vec![f32::NAN; tokens * matrix.rows()];
    product_on(cpu, &Team::alone(), matrix, inputs, &mut out).unwrap();
    out
}

/// The inner products in f64, token after token, and the sums of the absolute products.
fn truth(
    format: DenseFormat,
    (weights, inputs, columns): (&[f32], &[f32], usize),
) -> Vec<(f64, f64)> {
    let tokens = inputs.chunks_exact(columns);
    let pairs = tokens.flat_map(|input| weights.chunks_exact(columns).map(move |row| (row, input)));
    pairs
        .map(|(row, input)| {
            let products = row
                .iter()
                .zip(input)
                .map(|(weight, input)| f64::from(rounded(format, *weight)) * f64::from(*input));
            products.fold((0.0, 0.0), |(truth, size), product| {
                (truth + product, size + product.abs())
            })
        })
        .collect()
}

/// Fails unless each value is the inner product, but for `tolerance` times the sum of the absolute
/// products.
fn require_near(
    context: &str,
    format: DenseFormat,
    case: (&[f32], &[f32], usize),
    found: &[f32],
    tolerance: f64,
) {
    let truths = truth(format, case);
    assert_eq!(found.len(), truths.len(), "{context}");
    for (at, (found, (truth, size))) in found.iter().zip(truths).enumerate() {
        let error = (f64::from(*found) - truth).abs();
        assert!(
            error <= tolerance * size,
            "{context}, {at}: {found}, not {truth}"
        );
    }
}

/// Each step of a sum rounds by 2^-24 of it and (without a fused multiply-add) of its product;
/// bfloat16 rounds an input by 2^-8 of it.
fn tolerance(cpu: Supported, format: DenseFormat, tokens: usize, columns: usize) -> f64 {
    let steps = 2.0 * (columns as f64 + 1.0) * 2f64.powi(-24);
    match rounds_inputs(cpu, format, tokens) {
        true => steps + 2f64.powi(-8),
        false => steps,
    }
}

#[test]
fn products_are_near_the_truth_in_every_shape() {
    for format in DenseFormat::ALL {
        for (rows, columns) in SHAPES {
            let weights = random(rows * columns, 1);
            let matrix =
                DenseMatrix::from_f32(&Team::alone(), format, &weights, rows, columns).unwrap();
            for (cpu, tokens) in tiers().flat_map(|cpu| TOKENS.map(|tokens| (cpu, tokens))) {
                let inputs = random(tokens * columns, 2);
                let found = product(cpu, &matrix, &inputs, tokens);
                let context = format!("{cpu:?} {format:?} {rows}x{columns}");
                let case = (&weights[..], &inputs[..], columns);
                let most = tolerance(cpu, format, tokens, columns);
                require_near(&context, format, case, &found, most);
            }
        }
    }
}

#[test]
fn a_bias_is_added_once_to_every_row_of_every_token() {
    let team = Team::alone();
    // The last shape is more than one panel of columns of any format.
    for (rows, columns) in [(1, 1), (17, 33), (64, 40), (51, 1603)] {
        let weights = random(rows * columns, 16);
        let bias: Vec<f32> = random(rows, 17).iter().map(|value| 9.0 * value).collect();
        for format in DenseFormat::ALL {
            let matrix = DenseMatrix::from_f32(&team, format, &weights, rows, columns).unwrap();
            for (cpu, tokens) in tiers().flat_map(|cpu| [1, 2, 5, 13, 40].map(|n| (cpu, n))) {
                let inputs = random(tokens * columns, 18);
                let found = product_with_bias(cpu, &matrix, &inputs, tokens, &bias);
                let truths = truth(format, (&weights, &inputs, columns));
                assert_eq!(found.len(), truths.len());
                let most = tolerance(cpu, format, tokens, columns);
                for (at, (found, (truth, size))) in found.iter().zip(truths).enumerate() {
                    let bias = f64::from(bias[at % rows]);
                    let error = (f64::from(*found) - (truth + bias)).abs();
                    assert!(
                        error <= most * (size + bias.abs()),
                        "{cpu:?} {format:?} {rows}x{columns}, {tokens} tokens, {at}"
                    );
                }
                if !rounds_inputs(cpu, format, tokens) {
                    let first = product_with_bias(cpu, &matrix, &inputs[..columns], 1, &bias);
                    assert_eq!(first, found[..rows], "{cpu:?} {format:?} {tokens} tokens");
                }
            }
        }
    }
}

#[test]
fn a_matrix_without_columns_gives_its_bias() {
    let bias = random(18, 19);
    for format in DenseFormat::ALL {
        let matrix = DenseMatrix::from_f32(&Team::alone(), format, &[], 18, 0).unwrap();
        for (cpu, tokens) in tiers().flat_map(|cpu| [1, 7].map(|tokens| (cpu, tokens))) {
            let found = product_with_bias(cpu, &matrix, &[], tokens, &bias);
            assert_eq!(found, bias.repeat(tokens), "{cpu:?} {format:?}");
        }
    }
}

#[test]
fn whole_numbers_are_multiplied_without_error() {
    // Small enough that every format and every sum holds them exactly, so each term must be there
    // once and in its place. The last case is more than one chunk of tokens and of any panel.
    let mut random = StdRng::seed_from_u64(3);
    let mut whole = |count: usize| -> Vec<f32> {
        let values = (0..count).map(|_| random.random_range(-100i16..=100));
        values.map(f32::from).collect()
    };
    let small = [1, 3, 5, 11, 26].map(|tokens| (35, 301, tokens));
    for (rows, columns, tokens) in small.into_iter().chain([(49, 1603, 131)]) {
        let weights = whole(rows * columns);
        let inputs = whole(tokens * columns);
        for format in DenseFormat::ALL {
            let matrix =
                DenseMatrix::from_f32(&Team::alone(), format, &weights, rows, columns).unwrap();
            for cpu in tiers() {
                let found = product(cpu, &matrix, &inputs, tokens);
                let case = (&weights[..], &inputs[..], columns);
                require_near(&format!("{cpu:?}"), format, case, &found, 0.0);
            }
        }
    }
}

#[test]
fn bfloat16_is_widened_where_the_inputs_have_not_been_rounded() {
    let (rows, columns, tokens) = (49, 259, 17);
    let weights = random(rows * columns, 4);
    let inputs = random(tokens * columns, 5);
    let team = Team::alone();
    let format = DenseFormat::Bf16;
    let matrix = DenseMatrix::from_f32(&team, format, &weights, rows, columns).unwrap();
    for cpu in tiers() {
        let prepared = DenseInputs::new(&team, cpu, &[], &inputs, tokens, columns).unwrap();
        assert!(!prepared.are_rounded());
        let mut found = vec![f32::NAN; tokens * rows];
        let output = Output {
            values: Disjoint::new(&mut found),
            stride: rows,
            offset: 0,
            bias: None,
        };
        // SAFETY: nobody else uses the output.
        unsafe { matrix.tile_product(cpu, 0..matrix.tiles(), &prepared, output) };
        let steps = 2.0 * (columns as f64 + 1.0) * 2f64.powi(-24);
        let case = (&weights[..], &inputs[..], columns);
        require_near(&format!("{cpu:?}"), format, case, &found, steps);
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let (alone, three) = (Team::alone(), Team::new(3).unwrap());
    let (rows, columns) = (333, 385);
    let weights = random(rows * columns, 6);
    for format in DenseFormat::ALL {
        let one = DenseMatrix::from_f32(&alone, format, &weights, rows, columns).unwrap();
        let other = DenseMatrix::from_f32(&three, format, &weights, rows, columns).unwrap();
        for (cpu, tokens) in tiers().flat_map(|cpu| [1, 4, 13, 40].map(|tokens| (cpu, tokens))) {
            let inputs = random(tokens * columns, 7);
            let mut outs = [vec![1.0; tokens * rows], vec![2.0; tokens * rows]];
            product_on(cpu, &alone, &one, &inputs, &mut outs[0]).unwrap();
            product_on(cpu, &three, &other, &inputs, &mut outs[1]).unwrap();
            assert_eq!(outs[0], outs[1], "{cpu:?} {format:?} {tokens} tokens");
        }
    }
}

#[test]
fn neighbours_do_not_change_a_bit() {
    let (rows, columns) = (50, 600);
    let weights = random(rows * columns, 8);
    let inputs = random(40 * columns, 9);
    for format in DenseFormat::ALL {
        let matrix =
            DenseMatrix::from_f32(&Team::alone(), format, &weights, rows, columns).unwrap();
        for cpu in tiers().filter(|cpu| !rounds_inputs(*cpu, format, 40)) {
            let all = product(cpu, &matrix, &inputs, 40);
            for tokens in TOKENS {
                let some = product(cpu, &matrix, &inputs[..tokens * columns], tokens);
                assert_eq!(some, all[..tokens * rows], "{cpu:?} {format:?} {tokens}");
            }
        }
    }
}

#[test]
fn a_matrix_without_columns_gives_zeros_and_one_without_rows_nothing() {
    for format in DenseFormat::ALL {
        let no_columns = DenseMatrix::from_f32(&Team::alone(), format, &[], 18, 0).unwrap();
        let no_rows = DenseMatrix::from_f32(&Team::alone(), format, &[], 0, 5).unwrap();
        for (cpu, tokens) in tiers().flat_map(|cpu| TOKENS.map(|tokens| (cpu, tokens))) {
            assert_eq!(
                product(cpu, &no_columns, &[], tokens),
                vec![0.0; tokens * 18]
            );
            assert_eq!(product(cpu, &no_rows, &vec![1.0; tokens * 5], tokens), []);
        }
    }
}

#[test]
fn denormal_numbers_are_kept_except_by_the_bfloat16_instruction() {
    let (rows, columns) = (3, 9);
    // Denormal in the format: f16's least is 2^-24, bfloat16's 2^-133, f32's 2^-149.
    for (format, exponent) in [
        (DenseFormat::F32, -149),
        (DenseFormat::F16, -24),
        (DenseFormat::Bf16, -133),
    ] {
        let least = 2f64.powi(exponent) as f32;
        let weights = vec![3.0 * least; rows * columns];
        let matrix =
            DenseMatrix::from_f32(&Team::alone(), format, &weights, rows, columns).unwrap();
        for (cpu, tokens) in tiers().flat_map(|cpu| [1, 5, 13].map(|tokens| (cpu, tokens))) {
            let expected = match rounds_inputs(cpu, format, tokens) {
                true => 0.0,
                false => 27.0 * least,
            };
            let found = product(cpu, &matrix, &vec![1.0; tokens * columns], tokens);
            assert_eq!(
                found,
                vec![expected; tokens * rows],
                "{cpu:?} {format:?} {tokens}"
            );
        }
    }
}

#[test]
fn the_ends_of_the_range_are_reached_and_left() {
    let (rows, columns) = (18, 4);
    for (format, most) in [
        (DenseFormat::F32, f32::MAX),
        (DenseFormat::F16, f16::MAX.to_f32()),
        (DenseFormat::Bf16, bf16::MAX.to_f32()),
    ] {
        let mut weights = vec![0.0; rows * columns];
        weights[17 * columns + 3] = most;
        let matrix =
            DenseMatrix::from_f32(&Team::alone(), format, &weights, rows, columns).unwrap();
        assert!(matrix.all_finite());
        for (cpu, tokens) in tiers().flat_map(|cpu| [1, 7].map(|tokens| (cpu, tokens))) {
            for (input, expected) in [(1.0, most), (f32::INFINITY, f32::INFINITY)] {
                let mut inputs = vec![0.0; tokens * columns];
                inputs[columns - 1] = input;
                let found = product(cpu, &matrix, &inputs, tokens);
                assert_eq!(found[17], expected, "{cpu:?} {format:?}");
            }
            let inputs = vec![2.0; tokens * columns];
            let found = product(cpu, &matrix, &inputs, tokens);
            assert_eq!(found[tokens * rows - 1], 2.0 * most, "{cpu:?} {format:?}");
        }
    }
}

#[test]
fn nan_stays_in_its_row_and_its_token() {
    let (rows, columns) = (35, 21);
    for (format, tokens) in DenseFormat::ALL
        .into_iter()
        .flat_map(|format| [2, 6, 14].map(|tokens| (format, tokens)))
    {
        let mut weights = random(rows * columns, 10);
        weights[34 * columns + 20] = f32::NAN;
        let matrix =
            DenseMatrix::from_f32(&Team::alone(), format, &weights, rows, columns).unwrap();
        assert!(!matrix.all_finite());
        let mut inputs = random(tokens * columns, 11);
        inputs[columns + 20] = f32::NAN;
        for cpu in tiers() {
            let found = product(cpu, &matrix, &inputs, tokens);
            for (at, found) in found.into_iter().enumerate() {
                let touched = at / rows == 1 || at % rows == 34;
                assert_eq!(found.is_nan(), touched, "{cpu:?} {format:?} {tokens} {at}");
            }
        }
    }
}

#[test]
fn rows_are_looked_up_and_rounding_is_to_nearest_even() {
    let (rows, columns) = (37, 19);
    let mut weights = random(rows * columns, 12);
    // Ties in both formats: halfway between neighbours, to be rounded to the even one.
    weights[..4].copy_from_slice(&[
        1.0 + 2f32.powi(-8),
        1.0 + 3.0 * 2f32.powi(-8),
        1.0 + 2f32.powi(-11),
        1.0 + 3.0 * 2f32.powi(-11),
    ]);
    for format in DenseFormat::ALL {
        let matrix =
            DenseMatrix::from_f32(&Team::alone(), format, &weights, rows, columns).unwrap();
        let mut row = vec![f32::NAN; columns];
        for (index, expected) in weights.chunks_exact(columns).enumerate() {
            matrix.row(index, &mut row).unwrap();
            let expected: Vec<f32> = expected
                .iter()
                .map(|value| rounded(format, *value))
                .collect();
            assert_eq!(row, expected, "{format:?} {index}");
        }
    }
    assert_eq!(rounded(DenseFormat::Bf16, weights[0]), 1.0);
    assert_eq!(rounded(DenseFormat::F16, weights[2]), 1.0);
}

#[test]
fn bytes_are_packed_as_their_values_are() {
    let (rows, columns) = (21, 300);
    let values = random(rows * columns, 13);
    for format in DenseFormat::ALL {
        let bytes: Vec<u8> = match format {
            DenseFormat::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            DenseFormat::F16 => values
                .iter()
                .flat_map(|v| f16::from_f32(*v).to_le_bytes())
                .collect(),
            DenseFormat::Bf16 => values
                .iter()
                .flat_map(|v| bf16::from_f32(*v).to_le_bytes())
                .collect(),
        };
        let team = Team::new(2).unwrap();
        let packed = DenseMatrix::pack(&team, format, &bytes, rows, columns).unwrap();
        let other = DenseMatrix::from_f32(&team, format, &values, rows, columns).unwrap();
        assert_eq!((packed.rows(), packed.columns()), (rows, columns));
        assert_eq!(packed.format(), format);
        // Two tiles of 16 rows.
        assert_eq!(packed.bytes(), 2 * 16 * columns * format.element_bytes());
        assert_eq!(packed.tile::<u16>(1).as_ptr().addr() % 64, 0);
        let (mut a, mut b) = (vec![0.0; columns], vec![1.0; columns]);
        for row in 0..rows {
            packed.row(row, &mut a).unwrap();
            other.row(row, &mut b).unwrap();
            assert_eq!(a, b, "{format:?} {row}");
        }
    }
}

#[test]
fn values_that_are_not_finite_are_noticed() {
    let team = Team::alone();
    let finite = |format, value: f32| {
        let values = [0.0, value, 1.0];
        DenseMatrix::from_f32(&team, format, &values, 1, 3)
            .unwrap()
            .all_finite()
    };
    for format in DenseFormat::ALL {
        assert!(finite(format, -60_000.0));
        assert!(!finite(format, f32::NAN));
        assert!(!finite(format, f32::NEG_INFINITY));
    }
    // Beyond f16, and beyond bfloat16 once rounded.
    assert!(!finite(DenseFormat::F16, 70_000.0));
    assert!(!finite(DenseFormat::Bf16, f32::MAX));
    assert!(finite(DenseFormat::F32, f32::MAX));
}

#[test]
fn a_task_writes_its_rows_and_nothing_else() {
    let (rows, columns, stride, offset) = (40, 33, 64, 7);
    let team = Team::alone();
    for (format, tokens) in DenseFormat::ALL
        .into_iter()
        .flat_map(|format| [1, 4, 9].map(|tokens| (format, tokens)))
    {
        let matrix =
            DenseMatrix::from_f32(&team, format, &random(rows * columns, 14), rows, columns)
                .unwrap();
        let inputs = random(tokens * columns, 15);
        for cpu in tiers() {
            let whole = product(cpu, &matrix, &inputs, tokens);
            let prepared =
                DenseInputs::new(&team, cpu, &[format], &inputs, tokens, columns).unwrap();
            for tiles in [0..0, 0..1, 1..2, 2..3, 0..2, 1..3, 0..3] {
                let mut found = vec![9.0; tokens * stride];
                let output = Output {
                    values: Disjoint::new(&mut found),
                    stride,
                    offset,
                    bias: None,
                };
                // SAFETY: nobody else uses the output.
                unsafe { matrix.tile_product(cpu, tiles.clone(), &prepared, output) };
                for (at, found) in found.into_iter().enumerate() {
                    let row = (at % stride).checked_sub(offset).filter(|row| *row < rows);
                    let expected = match row {
                        Some(row) if tiles.contains(&(row / TILE)) => {
                            whole[at / stride * rows + row]
                        }
                        _ => 9.0,
                    };
                    assert_eq!(found, expected, "{cpu:?} {format:?} {tiles:?} {at}");
                }
            }
        }
    }
}

#[test]
fn lengths_that_do_not_fit_are_errors() {
    let team = Team::alone();
    let length = |argument, expected, received| Error::Length {
        argument,
        expected,
        received,
    };
    for format in DenseFormat::ALL {
        let size = format.element_bytes();
        let error = DenseMatrix::pack(&team, format, &[0; 25], 2, 3).unwrap_err();
        assert_eq!(error, length("bytes", 6 * size, 25));
        let error = DenseMatrix::from_f32(&team, format, &[0.0; 5], usize::MAX, 3).unwrap_err();
        assert_eq!(error, length("values", usize::MAX, 5));
        let matrix = DenseMatrix::from_f32(&team, format, &[1.0; 6], 2, 3).unwrap();
        let error = matrix.row(2, &mut [0.0; 3]).unwrap_err();
        let (argument, index, count) = ("index", 2, 2);
        assert_eq!(
            error,
            Error::OutOfRange {
                argument,
                index,
                count
            }
        );
        let error = matrix.row(1, &mut [0.0; 4]).unwrap_err();
        assert_eq!(error, length("out", 3, 4));
        let error = dense_product(&team, &matrix, &[1.0; 6], &mut [0.0; 3]).unwrap_err();
        assert_eq!(error, length("out", 4, 3));
        let error = dense_product(&team, &matrix, &[1.0; 5], &mut [0.0; 2]).unwrap_err();
        let (argument, dimension, received) = ("inputs", 3, 5);
        assert_eq!(
            error,
            Error::PartialVector {
                argument,
                dimension,
                received
            }
        );
    }
}
