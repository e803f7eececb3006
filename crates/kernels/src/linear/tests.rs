//! Joined maps are the maps, whoever computes them.

use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::BlockFormat;
use crate::quantised::tests::{random_bytes, random_values};

fn matrix(format: BlockFormat, rows: usize, columns: usize, random: &mut StdRng) -> Matrix {
    let bytes = random_bytes(format, rows * columns / format.block_weights(), random);
    let matrix = QuantisedMatrix::pack(&Team::alone(), format, &bytes, rows, columns);
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
