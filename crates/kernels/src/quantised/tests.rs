//! Formats against a second reading of them, tiles against formats, tiers against f64.

use half::f16;
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::layout::{BLOCK, TILE_ROWS};
use super::*;
use crate::disjoint::Disjoint;
use crate::isa::{Isa, Supported};
use crate::output::Output;
use crate::{Error, Team};

/// Random blocks of a format, with scales that are numbers.
pub(crate) fn random_bytes(format: BlockFormat, blocks: usize, random: &mut StdRng) -> Vec<u8> {
    let mut bytes = vec![0; blocks * format.block_bytes()];
    random.fill(bytes.as_mut_slice());
    for block in bytes.chunks_exact_mut(format.block_bytes()) {
        let halves: &[usize] = match format {
            BlockFormat::Q4_0 | BlockFormat::Q5_0 | BlockFormat::Q8_0 => &[0],
            BlockFormat::Q6_K => &[208],
            _ => &[0, 2],
        };
        for at in halves {
            let scale = f16::from_f32(random.random_range(-0.02..0.02));
            block[*at..at + 2].copy_from_slice(&scale.to_le_bytes());
        }
    }
    bytes
}

fn matrix(
    format: BlockFormat,
    rows: usize,
    columns: usize,
    random: &mut StdRng,
) -> QuantisedMatrix {
    let blocks = rows * columns / format.block_weights();
    let bytes = random_bytes(format, blocks, random);
    QuantisedMatrix::pack(&Team::alone(), format, &bytes, rows, columns).unwrap()
}

fn tiers() -> impl Iterator<Item = Supported> {
    let tiers = Isa::ALL.into_iter().filter_map(Supported::new);
    tiers.chain(Supported::modelled_amx())
}

fn product(cpu: Supported, matrix: &QuantisedMatrix, values: &[f32]) -> Vec<f32> {
    product_with(cpu, matrix, values, None)
}

fn product_with(
    cpu: Supported,
    matrix: &QuantisedMatrix,
    values: &[f32],
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let mut rows = QuantisedRows::new();
    rows.fill_on(cpu, &Team::alone(), values, matrix.columns())
        .unwrap();
    let mut out = vec![f32::NAN; rows.count() * matrix.rows()];
    let output = Output {
        values: Disjoint::new(&mut out),
        stride: matrix.rows(),
        offset: 0,
        bias,
    };
    // SAFETY: nobody else has `out`.
    unsafe { matrix.tile_product(cpu, 0..matrix.tile_count(), &rows, output) };
    out
}

/// The product of the weights with the activations as rounded, in f64, and the sum of magnitudes
/// that its rounding errors are measured against.
fn truth(matrix: &QuantisedMatrix, values: &[f32]) -> Vec<(f64, f64)> {
    let mut rows = QuantisedRows::new();
    rows.fill_on(Supported::Scalar, &Team::alone(), values, matrix.columns())
        .unwrap();
    let mut out = Vec::new();
    let mut weights = vec![0.0; matrix.columns()];
    for token in 0..rows.count() {
        let row = rows.row(token);
        for index in 0..matrix.rows() {
            matrix.row(index, &mut weights).unwrap();
            let terms = weights.iter().enumerate().map(|(column, weight)| {
                let block = &row[column / BLOCK];
                let code = f64::from(block.codes[column % BLOCK]);
                f64::from(*weight) * code * f64::from(block.scale)
            });
            let (mut sum, mut magnitude) = (0.0, 0.0);
            for term in terms {
                sum += term;
                magnitude += term.abs();
            }
            out.push((sum, magnitude));
        }
    }
    out
}

/// Every tier within 1e-5 of the magnitudes summed; minimums of weights that cancel against codes
/// (code 8 of Q4_0 is `8 d - 8 d`) count with their own magnitude, hence 64 times f32's precision.
fn check_all_tiers(matrix: &QuantisedMatrix, values: &[f32]) {
    let truth = truth(matrix, values);
    for cpu in tiers() {
        let found = product(cpu, matrix, values);
        assert_eq!(found.len(), truth.len());
        for (at, (found, (expected, magnitude))) in found.iter().zip(&truth).enumerate() {
            let error = (f64::from(*found) - expected).abs();
            assert!(
                error <= 1e-5 * magnitude + 1e-6,
                "{cpu:?} {at}: {found}, not {expected}"
            );
        }
    }
}

pub(crate) fn random_values(count: usize, random: &mut StdRng) -> Vec<f32> {
    (0..count).map(|_| random.random_range(-3.0..3.0)).collect()
}

#[test]
fn every_format_and_tier_agrees_with_f64() {
    let mut random = StdRng::seed_from_u64(3);
    for format in BlockFormat::ALL {
        for (rows, columns, tokens) in [
            (1, 256, 1),
            (16, 256, 2),
            (17, 512, 3),
            (33, 256, 7),
            (40, 768, 13),
            (31, 1024, 6),
            (5, 256, 0),
        ] {
            let matrix = matrix(format, rows, columns, &mut random);
            let values = random_values(tokens * columns, &mut random);
            check_all_tiers(&matrix, &values);
        }
    }
}

#[test]
fn a_bias_is_added_to_every_row_of_every_token() {
    let mut random = StdRng::seed_from_u64(11);
    let columns = 512;
    for format in BlockFormat::ALL {
        for (rows, tokens) in [1, 17, 32, 51]
            .into_iter()
            .flat_map(|rows| [1, 2, 5, 13, 40].map(|tokens| (rows, tokens)))
        {
            let matrix = matrix(format, rows, columns, &mut random);
            let values = random_values(tokens * columns, &mut random);
            let bias = random_values(rows, &mut random);
            let truth = truth(&matrix, &values);
            for cpu in tiers() {
                let found = product_with(cpu, &matrix, &values, Some(&bias));
                assert_eq!(found.len(), truth.len());
                for (at, (found, (sum, magnitude))) in found.iter().zip(&truth).enumerate() {
                    let bias = f64::from(bias[at % rows]);
                    let error = (f64::from(*found) - (sum + bias)).abs();
                    let most = 1e-5 * (magnitude + bias.abs()) + 1e-6;
                    assert!(error <= most, "{cpu:?} {format:?} {rows} {tokens}: {at}");
                }
                let last = &values[(tokens - 1) * columns..];
                let alone = product_with(cpu, &matrix, last, Some(&bias));
                assert_eq!(alone, found[(tokens - 1) * rows..], "{cpu:?} {format:?}");
            }
        }
    }
}

#[test]
fn rows_of_any_multiple_of_32() {
    let mut random = StdRng::seed_from_u64(4);
    for format in [
        BlockFormat::Q4_0,
        BlockFormat::Q4_1,
        BlockFormat::Q5_1,
        BlockFormat::Q8_0,
    ] {
        for columns in [32, 96, 576, 672] {
            let matrix = matrix(format, 19, columns, &mut random);
            check_all_tiers(&matrix, &random_values(9 * columns, &mut random));
        }
    }
}

/// The extremes of codes in all places at once: sums of 16 bits must not overflow.
#[test]
fn extreme_codes_do_not_saturate() {
    for format in BlockFormat::ALL {
        for fill in [0x00, 0x7f, 0x80, 0xff] {
            let columns = 512;
            let mut bytes =
                vec![fill; 20 * columns / format.block_weights() * format.block_bytes()];
            for block in bytes.chunks_exact_mut(format.block_bytes()) {
                let scale = f16::from_f32(0.01).to_le_bytes();
                match format {
                    BlockFormat::Q6_K => block[208..210].copy_from_slice(&scale),
                    BlockFormat::Q4_0 | BlockFormat::Q5_0 | BlockFormat::Q8_0 => {
                        block[..2].copy_from_slice(&scale)
                    }
                    _ => block[..4].copy_from_slice(&[scale, scale].concat()),
                }
            }
            let matrix =
                QuantisedMatrix::pack(&Team::alone(), format, &bytes, 20, columns).unwrap();
            for value in [1.0f32, -1.0] {
                check_all_tiers(&matrix, &vec![value; 8 * columns]);
            }
        }
    }
}

/// Few rows take another path than many; the answer to a request must not depend on who shares its
/// batch.
#[test]
fn a_row_gives_the_same_bits_alone_and_among_others() {
    let mut random = StdRng::seed_from_u64(5);
    for format in BlockFormat::ALL {
        let columns = 1024;
        let matrix = matrix(format, 50, columns, &mut random);
        let values = random_values(21 * columns, &mut random);
        for cpu in tiers() {
            let together = product(cpu, &matrix, &values);
            for (token, row) in values.chunks_exact(columns).enumerate() {
                let alone = product(cpu, &matrix, row);
                let expected = &together[token * 50..(token + 1) * 50];
                assert_eq!(alone, expected, "{cpu:?} {format:?}");
            }
            for count in 1..=20 {
                let some = product(cpu, &matrix, &values[..count * columns]);
                assert_eq!(some, together[..count * 50], "{cpu:?} {format:?} {count}");
            }
        }
    }
}

#[test]
fn f32_weights_are_rounded_to_bytes() {
    let mut random = StdRng::seed_from_u64(10);
    let (rows, columns) = (33, 96);
    let mut values = random_values(rows * columns, &mut random);
    values[..BLOCK].fill(0.0);
    values[BLOCK] = 1e4;
    let team = Team::alone();
    let matrix = QuantisedMatrix::round(&team, &values, rows, columns).unwrap();
    let mut row = vec![0.0; columns];
    for (index, values) in values.chunks_exact(columns).enumerate() {
        matrix.row(index, &mut row).unwrap();
        for (found, expected) in row.chunks(BLOCK).zip(values.chunks(BLOCK)) {
            let greatest = expected
                .iter()
                .fold(0f32, |most, value| most.max(value.abs()));
            for (found, expected) in found.iter().zip(expected) {
                // Half a step, and what rounding the scale to half precision adds.
                assert!((found - expected).abs() <= greatest * (0.5 / 127.0 + 1.0 / 2048.0));
            }
        }
    }
    check_all_tiers(&matrix, &random_values(5 * columns, &mut random));
    values[40 * 32] = f32::INFINITY;
    let error = QuantisedMatrix::round(&team, &values, rows, columns).unwrap_err();
    assert_eq!(error, Error::NotFinite { row: 13 });
    assert!(QuantisedMatrix::round(&team, &values[1..], rows, columns).is_err());
    assert!(QuantisedMatrix::round(&team, &values, 32 * rows, 3).is_err());
}

#[test]
fn activations_are_rounded_to_the_nearest_code() {
    let mut random = StdRng::seed_from_u64(6);
    let mut values = random_values(96, &mut random);
    values[..32].fill(0.0);
    values[32] = 1e-45;
    values[64] = 1e30;
    for cpu in tiers() {
        let mut rows = QuantisedRows::new();
        rows.fill_on(cpu, &Team::alone(), &values, 96).unwrap();
        for (block, values) in rows.row(0).iter().zip(values.chunks_exact(BLOCK)) {
            for (code, value) in block.codes.iter().zip(values) {
                let back = block.scale * f32::from(*code);
                let error = (back - value).abs();
                assert!(
                    error <= block.scale * 0.5001,
                    "{cpu:?}: {value} became {back}"
                );
            }
            for (half, codes) in block.codes.chunks_exact(BLOCK / 2).enumerate() {
                let sum: i32 = codes.iter().map(|code| i32::from(*code)).sum();
                assert_eq!(block.half_sums[half], block.scale * sum as f32, "{cpu:?}");
            }
            assert_eq!(
                block.sum,
                block.half_sums[0] + block.half_sums[1],
                "{cpu:?}"
            );
        }
    }
}

#[test]
fn values_that_are_no_numbers_spoil_their_row_only() {
    let mut random = StdRng::seed_from_u64(7);
    let matrix = matrix(BlockFormat::Q4_1, 16, 64, &mut random);
    let mut values = random_values(4 * 64, &mut random);
    let expected = values.clone();
    values[64 + 3] = f32::NAN;
    values[128 + 3] = f32::INFINITY;
    for cpu in tiers() {
        let found = product(cpu, &matrix, &values);
        let clean = product(cpu, &matrix, &expected);
        assert_eq!(found[..16], clean[..16], "{cpu:?}");
        assert_eq!(found[48..], clean[48..], "{cpu:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let team = Team::alone();
    let pack = |bytes: &[u8], rows, columns| {
        QuantisedMatrix::pack(&team, BlockFormat::Q4_1, bytes, rows, columns).unwrap_err()
    };
    assert_eq!(
        pack(&[0; 20], 1, 31),
        Error::Columns {
            columns: 31,
            block: 32
        }
    );
    let short = Error::Length {
        argument: "bytes",
        expected: 40,
        received: 39,
    };
    assert_eq!(pack(&[0; 39], 2, 32), short);
    let mut nan = vec![0; 40 * 20];
    nan[33 * 20..33 * 20 + 2].copy_from_slice(&f16::NAN.to_le_bytes());
    assert_eq!(pack(&nan, 40, 32), Error::NotFinite { row: 33 });
    let mut rows = QuantisedRows::new();
    assert!(rows.fill(&team, &[0.0; 33], 32).is_err());
    assert!(rows.fill(&team, &[0.0; 33], 33).is_err());
    let empty = QuantisedMatrix::pack(&team, BlockFormat::Q8_0, &[], 0, 32).unwrap();
    assert!(matches!(
        empty.row(0, &mut [0.0; 32]),
        Err(Error::OutOfRange { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_shape_agrees(
        format in proptest::sample::select(BlockFormat::ALL.to_vec()),
        rows in 1usize..70,
        blocks in 1usize..5,
        tokens in 1usize..15,
        scale in prop::sample::select(vec![1e-38f32, 1e-6, 1.0, 1e6]),
        seed: u64,
    ) {
        let mut random = StdRng::seed_from_u64(seed);
        let columns = blocks * format.block_weights();
        let matrix = matrix(format, rows, columns, &mut random);
        let mut values = random_values(tokens * columns, &mut random);
        values.iter_mut().for_each(|value| *value *= scale);
        check_all_tiers(&matrix, &values);
        prop_assert_eq!(matrix.tile_count(), rows.div_ceil(TILE_ROWS));
    }
}
