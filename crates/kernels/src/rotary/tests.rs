//! Both layouts on every tier against f64, inside wider rows.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::rotate::rotate_on;
use super::{HeadRows, RotaryLayout};
use crate::isa::{Isa, Supported};

const LAYOUTS: [RotaryLayout; 2] = [RotaryLayout::Interleaved, RotaryLayout::Halves];

fn random(seed: u64, length: usize) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..length)
        .map(|_| random.random_range(-2.0..2.0))
        .collect()
}

fn rotate_in_f64(
    values: &[f32],
    rows: HeadRows,
    angles: &[f32],
    pairs: usize,
    layout: RotaryLayout,
) -> Vec<f64> {
    let mut out: Vec<f64> = values.iter().map(|x| f64::from(*x)).collect();
    for (token, row) in out.chunks_mut(rows.stride).enumerate() {
        for head in 0..rows.heads {
            let head = &mut row[rows.offset + head * rows.head_dim..][..rows.head_dim];
            for pair in 0..pairs {
                let (a, b) = match layout {
                    RotaryLayout::Interleaved => (2 * pair, 2 * pair + 1),
                    RotaryLayout::Halves => (pair, pair + pairs),
                };
                let (sin, cos) = f64::from(angles[token * pairs + pair]).sin_cos();
                (head[a], head[b]) = (head[a] * cos - head[b] * sin, head[b] * cos + head[a] * sin);
            }
        }
    }
    out
}

#[test]
fn both_layouts_are_near_the_truth_on_every_tier() {
    for (head_dim, pairs) in [
        (2, 1),
        (6, 3),
        (32, 16),
        (64, 32),
        (80, 20),
        (90, 45),
        (256, 128),
    ] {
        let rows = HeadRows {
            stride: 3 * head_dim + 5,
            offset: 3,
            heads: 3,
            head_dim,
        };
        let (values, angles) = (random(1, 4 * rows.stride), random(2, 4 * pairs));
        let cosines: Vec<f32> = angles.iter().map(|angle| angle.cos()).collect();
        let sines: Vec<f32> = angles.iter().map(|angle| angle.sin()).collect();
        for layout in LAYOUTS {
            let truth = rotate_in_f64(&values, rows, &angles, pairs, layout);
            for cpu in Isa::ALL.into_iter().filter_map(Supported::new) {
                let mut found = values.clone();
                rotate_on(cpu, &mut found, rows, &cosines, &sines, layout).unwrap();
                for (at, (found, truth)) in found.iter().zip(&truth).enumerate() {
                    let error = (f64::from(*found) - truth).abs();
                    assert!(
                        error < 1e-6,
                        "{cpu:?} {layout:?} {head_dim} [{at}]: {error}"
                    );
                }
                // What is not rotated stays as it was, bit for bit.
                for (found, before) in found.chunks(rows.stride).zip(values.chunks(rows.stride)) {
                    let end = rows.offset + 3 * head_dim;
                    assert_eq!(found[..rows.offset], before[..rows.offset]);
                    assert_eq!(found[end..], before[end..]);
                    let rest = rows.offset + 2 * pairs..rows.offset + head_dim;
                    assert_eq!(found[rest.clone()], before[rest]);
                }
            }
        }
    }
}

#[test]
fn nothing_to_do_is_no_error_and_misfits_are() {
    let rows = HeadRows {
        stride: 10,
        offset: 2,
        heads: 2,
        head_dim: 4,
    };
    let mut values = [1.0; 20];
    for layout in LAYOUTS {
        let mut call =
            |rows, cosines, sines| super::rotate(&mut values, rows, cosines, sines, layout);
        let no_heads = HeadRows { heads: 0, ..rows };
        assert_eq!(call(no_heads, &[0.0; 4], &[1.0; 4]), Ok(()));
        assert_eq!(call(rows, &[], &[]), Ok(()));
        assert!(call(rows, &[0.0; 4], &[1.0; 3]).is_err());
        assert!(call(rows, &[0.0; 3], &[1.0; 3]).is_err());
        assert!(call(rows, &[0.0; 6], &[1.0; 6]).is_err());
        assert!(call(HeadRows { offset: 3, ..rows }, &[0.0; 4], &[1.0; 4]).is_err());
        assert!(call(HeadRows { stride: 11, ..rows }, &[0.0; 4], &[1.0; 4]).is_err());
        assert!(
            call(
                HeadRows {
                    heads: usize::MAX,
                    ..rows
                },
                &[0.0; 4],
                &[1.0; 4]
            )
            .is_err()
        );
        assert_eq!(super::rotate(&mut [], rows, &[], &[], layout), Ok(()));
        assert!(super::rotate(&mut [], rows, &[1.0], &[1.0], layout).is_err());
    }
    assert_eq!(values, [1.0; 20], "none of these calls rotates anything");
}
