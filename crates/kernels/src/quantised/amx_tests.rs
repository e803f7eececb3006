//! The tile unit's model on every machine: it has to give the bits of the tier that it goes with.

use rand::{SeedableRng, rngs::StdRng};

use super::tests::{random_bytes, random_values};
use super::tier::Tier;
use super::{BlockFormat, QuantisedMatrix, QuantisedRows, amx, row_tiles};
use crate::Team;
use crate::amx::model::ModelUnit;
use crate::disjoint::Disjoint;
use crate::isa::{Isa, Supported};
use crate::output::Output;
use crate::simd::ScalarLanes;

/// Rows, blocks of 256 columns and tokens: last tiles with and without room, too few rows for a tile,
/// and columns for more than one part of a panel.
const SHAPES: [(usize, usize, usize); 9] = [
    (16, 1, 16),
    (17, 1, 7),
    (33, 2, 6),
    (5, 1, 23),
    (31, 2, 22),
    (16, 1, 32),
    (18, 5, 39),
    (40, 3, 33),
    (3, 9, 17),
];

/// What a product writes, from NaN on.
fn written(matrix: &QuantisedMatrix, tokens: usize, write: impl FnOnce(Output<'_>)) -> Vec<f32> {
    let bias = random_values(matrix.rows(), &mut StdRng::seed_from_u64(1));
    let mut out = vec![f32::NAN; tokens * matrix.rows()];
    write(Output {
        values: Disjoint::new(&mut out),
        stride: matrix.rows(),
        offset: 0,
        bias: Some(&bias),
    });
    out
}

/// Compares the unit, with the rest done by `tier`, with the same tier's own product.
fn compare<T: Tier>(cpu: Supported, tier: T, matrix: &QuantisedMatrix, values: &[f32]) {
    let mut inputs = QuantisedRows::new();
    let columns = matrix.columns();
    inputs
        .fill_on(cpu, &Team::alone(), values, columns)
        .unwrap();
    let tiles = 0..matrix.tile_count();
    let expected = written(matrix, inputs.count(), |output| {
        assert!(!inputs.has_tiles());
        // SAFETY: nobody else has the output.
        unsafe { matrix.tile_product(cpu, tiles.clone(), &inputs, output) };
    });
    inputs.fill_tiles(&Team::alone(), row_tiles::tiled_rows(inputs.count()));
    let unit = &mut ModelUnit::new();
    let found = written(matrix, inputs.count(), |output| {
        with_layout!(matrix.layout, L => {
            // SAFETY: as above.
            unsafe { amx::product::<L, T, _>(cpu, tier, unit, matrix, tiles, &inputs, output) };
        });
    });
    assert_eq!(
        found,
        expected,
        "{cpu:?} {:?} {}",
        matrix.layout,
        inputs.count()
    );
}

#[test]
fn the_unit_gives_the_bits_of_the_tier_below() {
    let mut random = StdRng::seed_from_u64(2);
    for format in BlockFormat::ALL {
        for (rows, blocks, tokens) in SHAPES {
            let columns = 256 * blocks;
            let bytes = random_bytes(format, rows * columns / format.block_weights(), &mut random);
            let matrix =
                QuantisedMatrix::pack(&Team::alone(), format, &bytes, rows, columns).unwrap();
            let values = random_values(tokens * columns, &mut random);
            for cpu in Isa::ALL.into_iter().filter_map(Supported::new) {
                match cpu {
                    Supported::Scalar => compare(cpu, ScalarLanes, &matrix, &values),
                    #[cfg(target_arch = "x86_64")]
                    Supported::Avx2(proof) => compare(cpu, proof, &matrix, &values),
                    #[cfg(target_arch = "x86_64")]
                    Supported::Avx512(proof) if proof.amx().is_none() => {
                        compare(cpu, proof, &matrix, &values);
                    }
                    // Its rows have tiles already, and its answers are compared in `tests`.
                    #[cfg(target_arch = "x86_64")]
                    Supported::Avx512(_) => {}
                }
            }
        }
    }
}

#[test]
fn tiles_hold_the_rows_and_zeros_after_them() {
    let mut random = StdRng::seed_from_u64(3);
    let (columns, team) = (96, Team::new(2).unwrap());
    for (count, tiled) in [
        (0, 0),
        (6, 0),
        (7, 7),
        (16, 16),
        (22, 16),
        (23, 23),
        (48, 48),
    ] {
        assert_eq!(row_tiles::tiled_rows(count), tiled);
        let values = random_values(count * columns, &mut random);
        let mut rows = QuantisedRows::new();
        rows.fill_on(Supported::Scalar, &team, &values, columns)
            .unwrap();
        assert!(!rows.has_tiles());
        rows.fill_tiles(&team, tiled);
        assert_eq!(rows.has_tiles(), tiled > 0);
        assert_eq!(rows.tiles().count(), tiled.div_ceil(row_tiles::ROWS));
        for (group, tiles) in rows.tiles().enumerate() {
            assert_eq!(tiles.len(), columns / 32);
            for (block, tile) in tiles.iter().enumerate() {
                for row in 0..row_tiles::ROWS {
                    let token = group * row_tiles::ROWS + row;
                    if token >= count {
                        assert_eq!((tile.codes[row], tile.scales[row]), ([0; 32], 0.0));
                        continue;
                    }
                    let expected = rows.row(token)[block];
                    assert_eq!(tile.codes[row], expected.codes);
                    assert_eq!(tile.scales[row], expected.scale);
                }
            }
        }
    }
}
