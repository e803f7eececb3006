use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::test_device;

fn random(rows: usize, vocabulary: usize, seed: u64) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    let count = rows * vocabulary;
    (0..count).map(|_| random.random_range(-9.0..9.0)).collect()
}

/// As logits in bfloat16: a few hundred values.
fn coarse(values: &[f32]) -> Vec<f32> {
    let coarse = values.iter().map(|value| (value * 16.0).round() / 16.0);
    coarse.collect()
}

fn find(values: &[f32], vocabulary: usize, asked: &[Asked]) -> Vec<Scores> {
    let device = test_device::device();
    let shape = (values.len() / vocabulary, vocabulary);
    let logits = Tensor::from_slice(values, shape, device.device()).unwrap();
    scores(&logits, asked).unwrap()
}

/// The slow way.
fn sorted(row: &[f32], count: usize) -> Vec<(u32, f32)> {
    let mut tokens: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).collect();
    tokens.sort_by(by_logit);
    tokens.truncate(count);
    tokens
}

/// Whether each part got what it asked for, or all; how many parts got all though they asked for less.
fn check(values: &[f32], vocabulary: usize, asked: &[Asked]) -> usize {
    let found = find(values, vocabulary, asked);
    assert_eq!(found.len(), asked.len());
    let (mut rows, mut unclear) = (values.chunks(vocabulary), 0);
    for (&(count, needed), found) in asked.iter().zip(found) {
        let rows: Vec<&[f32]> = rows.by_ref().take(count).collect();
        match (needed, found) {
            (Needed::Greatest(most), Scores::Greatest(found)) => {
                let expected: Vec<_> = rows.iter().map(|row| sorted(row, most)).collect();
                assert_eq!(found, expected, "{vocabulary} {needed:?}");
            }
            (needed, Scores::Logits(found)) => {
                assert_eq!(found, rows.concat(), "{vocabulary} {needed:?}");
                unclear += usize::from(needed != Needed::Logits && count > 0);
            }
            (Needed::Logits, found) => panic!("{found:?} are not all logits"),
        }
    }
    unclear
}

#[test]
fn each_part_gets_what_it_needs() {
    use Needed::{Greatest, Logits};
    let mixed = [
        (1, Greatest(1)),
        (0, Logits),
        (3, Greatest(1)),
        (1, Greatest(65)),
        (0, Greatest(2)),
        (2, Logits),
        (2, Greatest(7)),
        (1, Greatest(MOST)),
        (1, Greatest(1)),
    ];
    for vocabulary in [1, 7, 64, 65, 260, 2048, 5000, 49_152, 151_936] {
        let values = random(11, vocabulary, 1);
        assert_eq!(check(&values, vocabulary, &mixed), 0, "{vocabulary}");
        check(&coarse(&values), vocabulary, &mixed);
        for alone in [Logits, Greatest(1), Greatest(40)] {
            check(&values, vocabulary, &[(4, alone), (7, alone)]);
        }
    }
    let (values, too_many) = (random(1, 500, 2), [(1, Greatest(MOST + 1))]);
    assert_eq!(check(&values, 500, &too_many), 1);
}

#[test]
fn of_equal_logits_the_first_is_the_greatest() {
    for vocabulary in [64, 300, 5000] {
        for places in [&[3, 17, 60][..], &[63, 1, 62], &[0, 63], &[5]] {
            let mut row = vec![-1.0; vocabulary];
            places.iter().for_each(|place| row[*place] = 2.0);
            let found = find(&row, vocabulary, &[(1, Needed::Greatest(1))]);
            let first = *places.iter().min().unwrap() as u32;
            assert_eq!(found, [Scores::Greatest(vec![vec![(first, 2.0)]])]);
        }
        // In other groups, and the last of them.
        for places in [[vocabulary - 1, vocabulary / 2], [vocabulary - 1, 0]] {
            let mut row = vec![-1.0; vocabulary];
            places.iter().for_each(|place| row[*place] = 2.0);
            assert_eq!(check(&row, vocabulary, &[(1, Needed::Greatest(1))]), 0);
        }
        // The two zeros are equal.
        let mut row = vec![-1.0; vocabulary];
        (row[9], row[8]) = (0.0, -0.0);
        assert_eq!(check(&row, vocabulary, &[(1, Needed::Greatest(1))]), 0);
        assert_eq!(check(&row, vocabulary, &[(1, Needed::Greatest(2))]), 0);
    }
}

/// As many equal ones as no device sorts by place: all are given, since whichever were found, others are as great.
#[test]
fn where_others_may_be_as_great_all_are_given() {
    let equal = vec![0.5; 3000];
    let asked = [(1, Needed::Greatest(1)), (1, Needed::Greatest(5))];
    assert_eq!(check(&equal.repeat(2), 3000, &asked), 1);
    // Some equal ones are within what is found.
    let mut row = random(1, 3000, 3);
    (0..20).for_each(|place| row[place * 131] = 9.5);
    assert_eq!(check(&row, 3000, &[(1, Needed::Greatest(5))]), 0);
    (0..200).for_each(|place| row[place * 13] = 9.5);
    assert_eq!(check(&row, 3000, &[(1, Needed::Greatest(5))]), 1);
}

#[test]
fn numbers_that_are_not_finite_are_given_to_their_own_part() {
    for needed in [Needed::Greatest(1), Needed::Greatest(20)] {
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 77, 299] {
                let mut values = random(4, 300, 4);
                values[2 * 300 + place] = wrong;
                let asked = [(1, needed), (2, needed), (1, needed)];
                let found = find(&values, 300, &asked);
                let given = [&found[0], &found[2]];
                assert!(
                    given
                        .iter()
                        .all(|found| matches!(found, Scores::Greatest(_)))
                );
                let Scores::Logits(logits) = &found[1] else {
                    panic!("{wrong} was not seen at {place}");
                };
                let given = logits[300 + place];
                assert!(given == wrong || given.is_nan() && wrong.is_nan());
                assert_eq!(logits[..300], values[300..600]);
            }
        }
    }
    // Their sum is not finite, but they are.
    let extreme = [f32::MAX, f32::MAX, f32::MIN, 3.0].repeat(100);
    assert_eq!(check(&extreme[..300], 300, &[(1, Needed::Greatest(1))]), 0);
}
