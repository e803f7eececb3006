//! Every tier that the machine has against plain arithmetic written down again here, bit for bit, and
//! the bounds against f64.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::layout::encode_on;
use super::*;
use crate::isa::Supported;
use crate::scan::{RowIds, Shortlist};
use crate::{Error, Isa};

fn tiers() -> Vec<(Isa, Supported)> {
    let tiers = Isa::ALL.into_iter();
    tiers
        .filter_map(|isa| Some((isa, Supported::new(isa)?)))
        .collect()
}

fn random(rng: &mut StdRng, length: usize, scale: f32) -> Vec<f32> {
    (0..length)
        .map(|_| rng.random_range(-1.0..1.0f32) * scale)
        .collect()
}

/// Rows with their codes.
struct Coded {
    dimension: usize,
    rows: Vec<f32>,
    codes: Vec<u8>,
    scales: Vec<f32>,
    errors: Vec<f32>,
}

impl Coded {
    fn new(rows: Vec<f32>, dimension: usize) -> Self {
        let count = rows.len() / dimension;
        let mut coded = Self {
            dimension,
            codes: vec![7; count.div_ceil(16) * byte_tile_len(dimension)],
            scales: vec![f32::NAN; count],
            errors: vec![f32::NAN; count],
            rows,
        };
        let Self {
            rows,
            codes,
            scales,
            errors,
            ..
        } = &mut coded;
        encode_bytes(rows, dimension, codes, scales, errors).unwrap();
        coded
    }

    fn count(&self) -> usize {
        self.scales.len()
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.rows[row * self.dimension..(row + 1) * self.dimension]
    }

    fn scan<'a>(&'a self, queries: &'a ByteQueries) -> ByteScan<'a> {
        ByteScan {
            queries,
            range: 0..queries.len(),
            codes: &self.codes,
            count: self.count(),
            factors: &self.scales,
            offsets: None,
            slacks: None,
            bases: &[],
            gain: 1.0,
            slack: &[],
            rows: RowIds::First(0),
            accept: None,
        }
    }
}

/// All of a query's bounds, by the arithmetic that `ByteScan` and `Tier` document.
fn bounds(scan: &ByteScan<'_>, query: usize) -> Vec<(f32, f32)> {
    let number = scan.range.start + query;
    let quantised = scan.queries.quantised(number);
    let codes: Vec<i32> = scan
        .queries
        .groups(number)
        .iter()
        .flat_map(|group| group.to_le_bytes())
        .map(|code| i32::from(code as i8))
        .collect();
    let base = scan.bases.get(query).copied().unwrap_or(0.0);
    let slack = scan.slack.get(query).copied().unwrap_or(0.0);
    let bound = |row: usize| {
        let tile = &scan.codes[row / 16 * byte_tile_len(scan.queries.dimension())..];
        let code = |i: usize| i32::from(tile[i / 4 * 64 + row % 16 * 4 + i % 4]) - 128;
        let dot: i32 = codes
            .iter()
            .enumerate()
            .map(|(i, query)| query * code(i))
            .sum();
        let factor = scan.factors[row] * (quantised.scale * scan.gain);
        let offset = scan.offsets.map_or(0.0, |offsets| offsets[row]);
        let score = factor.mul_add(dot as f32, offset + base);
        let row_slack = scan.slacks.map_or(0.0, |slacks| slacks[row]);
        (
            row_slack.mul_add(slack, score),
            row_slack.mul_add(-slack, score),
        )
    };
    (0..scan.count).map(bound).collect()
}

fn row_of(scan: &ByteScan<'_>, position: usize) -> u32 {
    match scan.rows {
        RowIds::First(first) => first + position as u32,
        RowIds::Listed(rows) => rows[position],
    }
}

fn is_accepted(scan: &ByteScan<'_>, position: usize) -> bool {
    scan.accept
        .is_none_or(|words| words[position / 64] >> (position % 64) & 1 == 1)
}

/// Runs a scan in each tier, for several k, and compares what comes out with all bounds.
fn check(scan: &ByteScan<'_>) {
    for (isa, cpu) in tiers() {
        for k in [1, 3, 1000] {
            let mut shortlists = vec![Shortlist::new(k); scan.range.len()];
            scan.run_on(cpu, &mut shortlists).unwrap();
            for (query, shortlist) in shortlists.iter_mut().enumerate() {
                let mut expected = Shortlist::new(k);
                for (position, (upper, lower)) in bounds(scan, query).into_iter().enumerate() {
                    if is_accepted(scan, position) {
                        expected.offer(row_of(scan, position), upper, lower);
                    }
                }
                assert_eq!(
                    shortlist.finish(),
                    expected.finish(),
                    "{isa}, query {query}, k {k}, {} rows",
                    scan.count
                );
            }
        }
    }
}

/// As `check`, for the nearest rows.
fn check_nearest(scan: &ByteScan<'_>) {
    for (isa, cpu) in tiers() {
        let mut nearest = vec![(0, 0.0); scan.range.len()];
        scan.nearest_on(cpu, &mut nearest).unwrap();
        for (query, nearest) in nearest.into_iter().enumerate() {
            let mut expected = (u32::MAX, f32::NEG_INFINITY);
            for (position, (score, _)) in bounds(scan, query).into_iter().enumerate() {
                let row = row_of(scan, position);
                let is_better = score > expected.1 || (score == expected.1 && row < expected.0);
                if is_accepted(scan, position) && is_better {
                    expected = (row, score);
                }
            }
            assert_eq!(nearest, expected, "{isa}, query {query}");
        }
    }
}

#[test]
fn every_dimension_and_count() {
    let mut rng = StdRng::seed_from_u64(1);
    for dimension in (1..=70).chain([384, 768]) {
        let count = rng.random_range(0..=100);
        let coded = Coded::new(random(&mut rng, count * dimension, 2.0), dimension);
        for query_count in [1, 2, 7] {
            let queries = random(&mut rng, query_count * dimension, 3.0);
            let queries = ByteQueries::new(&queries, dimension).unwrap();
            check(&coded.scan(&queries));
            check_nearest(&coded.scan(&queries));
        }
    }
}

#[test]
fn every_count_of_rows_and_queries_with_all_numbers() {
    let mut rng = StdRng::seed_from_u64(2);
    let dimension = 37;
    for count in 0..=100 {
        let coded = Coded::new(random(&mut rng, count * dimension, 1.0), dimension);
        let query_count = [0, 1, 2, 3, 4, 5, 6, 11, 12, 13, 40][count % 11];
        let queries = random(&mut rng, query_count * dimension, 1.0);
        let queries = ByteQueries::new(&queries, dimension).unwrap();
        let offsets = random(&mut rng, count, 4.0);
        let slacks: Vec<f32> = (0..count).map(|_| rng.random()).collect();
        let bases = random(&mut rng, query_count, 100.0);
        let slack: Vec<f32> = (0..query_count).map(|_| rng.random()).collect();
        let rows: Vec<u32> = (0..count as u32).map(|row| row * 7919 % 1009).collect();
        let accept: Vec<u64> = (0..2).map(|_| rng.random()).collect();
        let scan = ByteScan {
            offsets: Some(&offsets),
            slacks: Some(&slacks),
            bases: &bases,
            gain: 2.0,
            slack: &slack,
            rows: RowIds::Listed(&rows),
            ..coded.scan(&queries)
        };
        check(&scan);
        let scan = ByteScan {
            accept: Some(&accept),
            ..scan
        };
        check(&scan);
        let scan = ByteScan { slack: &[], ..scan };
        check_nearest(&scan);
        if query_count > 2 {
            let range = 1..query_count - 1;
            let scan = ByteScan {
                bases: &bases[range.clone()],
                range,
                ..scan
            };
            check(&scan);
            check_nearest(&scan);
        }
    }
}

#[test]
fn more_queries_and_rows_than_a_block_of_each() {
    let mut rng = StdRng::seed_from_u64(3);
    let dimension = 24;
    let coded = Coded::new(random(&mut rng, 1234 * dimension, 1.0), dimension);
    let queries = random(&mut rng, 500 * dimension, 1.0);
    let queries = ByteQueries::new(&queries, dimension).unwrap();
    check(&coded.scan(&queries));
    check_nearest(&coded.scan(&queries));
}

#[test]
fn rows_that_are_not_accepted_never_come_out() {
    let mut rng = StdRng::seed_from_u64(4);
    let coded = Coded::new(random(&mut rng, 200 * 8, 1.0), 8);
    let queries = ByteQueries::new(&random(&mut rng, 3 * 8, 1.0), 8).unwrap();
    for accept in [
        [0; 4],
        [u64::MAX; 4],
        [0, 1, 0, 0],
        [1 << 63, 0, 0, 1 << 7 | 1 << 8],
        [0xffff << 16, 0, 0xffff << 48, 0],
    ] {
        check(&ByteScan {
            accept: Some(&accept),
            ..coded.scan(&queries)
        });
        check_nearest(&ByteScan {
            accept: Some(&accept),
            ..coded.scan(&queries)
        });
    }
}

#[test]
fn equal_scores_give_the_row_with_the_least_number() {
    let rows = [1.0, 2.0].repeat(50);
    let coded = Coded::new(rows, 2);
    let queries = ByteQueries::new(&[1.0, 1.0], 2).unwrap();
    let listed: Vec<u32> = (100..150).rev().collect();
    for (rows, least) in [(RowIds::First(9), 9), (RowIds::Listed(&listed), 100)] {
        let scan = ByteScan {
            rows,
            ..coded.scan(&queries)
        };
        let mut nearest = [(0, 0.0)];
        nearest_bytes(&scan, &mut nearest).unwrap();
        assert_eq!(nearest[0].0, least);
    }
}

/// The bounds that the module's documentation gives, with what rounding in f32 takes.
#[test]
fn exact_scores_lie_between_the_bounds() {
    let mut rng = StdRng::seed_from_u64(5);
    for dimension in [1, 3, 16, 61, 384] {
        for scale in [1e-30, 1.0, 1e10] {
            let coded = Coded::new(random(&mut rng, 64 * dimension, scale), dimension);
            let values = random(&mut rng, 5 * dimension, 1.0);
            let queries = ByteQueries::new(&values, dimension).unwrap();
            for (query, values) in values.chunks(dimension).enumerate() {
                let norm = queries.norm(query).unwrap();
                let error = queries.error(query).unwrap();
                let slacks: Vec<f32> = (0..coded.count())
                    .map(|row| {
                        let length = norm_of(coded.row(row)) as f32;
                        let rounding = 1e-6 * (norm + error) * length;
                        (norm * coded.errors[row] + error * length + rounding) * 1.00001
                    })
                    .collect();
                let scan = ByteScan {
                    range: query..query + 1,
                    slacks: Some(&slacks),
                    slack: &[1.0],
                    ..coded.scan(&queries)
                };
                for (isa, cpu) in tiers() {
                    let mut shortlist = [Shortlist::new(64)];
                    scan.run_on(cpu, &mut shortlist).unwrap();
                    let kept = shortlist[0].finish();
                    assert_eq!(kept.len(), 64);
                    for kept in kept {
                        let row = coded.row(kept.row as usize);
                        let exact = dot_of(values, row);
                        assert!(f64::from(kept.upper) >= exact, "{isa} {kept:?} {exact}");
                        assert!(f64::from(kept.lower) <= exact, "{isa} {kept:?} {exact}");
                    }
                }
            }
        }
    }
}

fn dot_of(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}

fn norm_of(a: &[f32]) -> f64 {
    dot_of(a, a).sqrt()
}

#[test]
fn codes_are_the_nearest_and_errors_bound_what_is_lost() {
    let mut rng = StdRng::seed_from_u64(6);
    for dimension in [1, 2, 5, 16, 33, 384] {
        let mut rows = random(&mut rng, 21 * dimension, 5.0);
        rows[..dimension].fill(0.0);
        rows[dimension..2 * dimension].fill(-1e-41);
        rows[2 * dimension..3 * dimension].fill(f32::MAX);
        rows[3 * dimension] = f32::MIN;
        let coded = Coded::new(rows, dimension);
        let mut decoded = vec![f32::NAN; dimension];
        for row in 0..coded.count() {
            let (scale, error) = (coded.scales[row], coded.errors[row]);
            let (codes, values) = (&coded.codes, coded.row(row));
            decode_byte_row(codes, dimension, row, scale, &mut decoded).unwrap();
            let lost = values.iter().zip(&decoded).map(|(value, decoded)| {
                let lost = f64::from(*value) - f64::from(*decoded);
                if scale > 0.0 {
                    assert!(lost.abs() <= f64::from(scale) * 0.5001);
                }
                lost * lost
            });
            let lost = lost.sum::<f64>().sqrt();
            // Decoding rounds once more.
            let decoding = f64::from(f32::EPSILON) * norm_of(values);
            assert!(f64::from(error) >= lost - decoding, "{error} {lost}");
            assert!(f64::from(error) <= (lost + decoding) * 1.00001 + 1e-44);
        }
        let rest = &coded.codes[byte_tile_len(dimension)..];
        for group in rest.chunks(64) {
            assert!(group[5 * 4..].iter().all(|code| *code == 128));
        }
    }
}

#[test]
fn codes_are_the_same_in_every_tier() {
    let mut rng = StdRng::seed_from_u64(7);
    for dimension in [1, 19, 384] {
        let rows = random(&mut rng, 40 * dimension, 5.0);
        let coded = Coded::new(rows.clone(), dimension);
        for (isa, cpu) in tiers() {
            let mut codes = vec![0; coded.codes.len()];
            let (mut scales, mut errors) = (vec![0.0; 40], vec![0.0; 40]);
            encode_on(cpu, &rows, dimension, &mut codes, &mut scales, &mut errors).unwrap();
            assert_eq!(codes, coded.codes, "{isa}");
            assert_eq!(scales, coded.scales, "{isa}");
            assert_eq!(errors, coded.errors, "{isa}");
            let queries = ByteQueries::new_on(cpu, &rows, dimension).unwrap();
            for query in 0..40 {
                assert_eq!(queries.quantised(query).scale, scales[query], "{isa}");
                assert_eq!(queries.error(query), Some(errors[query]), "{isa}");
                let norm = scales[query]
                    * queries
                        .groups(query)
                        .iter()
                        .flat_map(|group| group.to_le_bytes())
                        .map(|code| f32::from(code as i8).powi(2))
                        .sum::<f32>()
                        .sqrt();
                let difference = queries.norm(query).unwrap() - norm;
                assert!((-1e-6..1e-5).contains(&(difference / norm)), "{isa}");
            }
        }
    }
}

/// The greatest codes in all places, as many as there may be: sums come close to 32 bits.
#[test]
fn the_longest_vectors_do_not_overflow() {
    let dimension = 1 << 17;
    let mut rows = vec![1.0; 3 * dimension];
    rows[dimension..2 * dimension].fill(-1.0);
    let coded = Coded::new(rows.clone(), dimension);
    let queries = ByteQueries::new(&rows, dimension).unwrap();
    for (isa, cpu) in tiers() {
        let mut nearest = [(0, 0.0); 3];
        coded.scan(&queries).nearest_on(cpu, &mut nearest).unwrap();
        for (query, (row, score)) in nearest.into_iter().enumerate() {
            assert_eq!(row, [0, 1, 0][query], "{isa}");
            assert!(
                (score / dimension as f32 - 1.0).abs() < 1e-6,
                "{isa} {score}"
            );
        }
    }
    let longer = vec![0.0; dimension + 1];
    let dimension = dimension + 1;
    assert!(matches!(
        ByteQueries::new(&longer, dimension),
        Err(Error::Dimension { .. })
    ));
}

#[test]
fn numbers_out_of_range_give_no_panic_and_no_nan() {
    let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0];
    // Of five numbers, so that each comes to lie in each lane of a tile.
    let offsets = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, 1.0].repeat(16);
    for value in [f32::MAX, 1.0] {
        let coded = Coded::new(vec![value; 80 * 6], 6);
        let queries = ByteQueries::new(&[value; 4 * 6], 6).unwrap();
        let plain = ByteScan {
            offsets: Some(&offsets),
            ..coded.scan(&queries)
        };
        let scan = ByteScan {
            slacks: Some(&offsets),
            slack: &special,
            ..plain.clone()
        };
        check(&coded.scan(&queries));
        check(&plain);
        check_nearest(&plain);
        check(&scan);
        for (_, cpu) in tiers() {
            let mut shortlists = vec![Shortlist::new(90); 4];
            scan.run_on(cpu, &mut shortlists).unwrap();
            for kept in shortlists.iter_mut().flat_map(|list| list.finish()) {
                assert!(!kept.upper.is_nan() && !kept.lower.is_nan());
            }
        }
    }
}

#[test]
fn scores_do_not_depend_on_addresses() {
    let mut rng = StdRng::seed_from_u64(8);
    let coded = Coded::new(random(&mut rng, 50 * 20, 1.0), 20);
    let queries = ByteQueries::new(&random(&mut rng, 9 * 20, 1.0), 20).unwrap();
    for shift in [1, 3, 16, 33] {
        let mut codes = vec![0; shift];
        codes.extend(&coded.codes);
        let mut factors = vec![0.0; shift];
        factors.extend(&coded.scales);
        check(&ByteScan {
            codes: &codes[shift..],
            factors: &factors[shift..],
            ..coded.scan(&queries)
        });
    }
}

#[test]
fn misfits_are_errors_and_change_nothing() {
    let coded = Coded::new(vec![1.0; 20 * 4], 4);
    let queries = ByteQueries::new(&[1.0; 2 * 4], 4).unwrap();
    let scan = || coded.scan(&queries);
    let (short, words) = ([0.0; 19], [0u64; 0]);
    let broken = [
        ByteScan {
            count: 21,
            ..scan()
        },
        ByteScan {
            count: 33,
            ..scan()
        },
        ByteScan {
            count: usize::MAX,
            ..scan()
        },
        ByteScan {
            range: 0..3,
            ..scan()
        },
        ByteScan {
            codes: &coded.codes[1..],
            ..scan()
        },
        ByteScan {
            factors: &short,
            ..scan()
        },
        ByteScan {
            offsets: Some(&short),
            ..scan()
        },
        ByteScan {
            slacks: Some(&short),
            ..scan()
        },
        ByteScan {
            bases: &short,
            ..scan()
        },
        ByteScan {
            slack: &short,
            ..scan()
        },
        ByteScan {
            rows: RowIds::First(u32::MAX - 19),
            ..scan()
        },
        ByteScan {
            rows: RowIds::Listed(&[0; 19]),
            ..scan()
        },
        ByteScan {
            accept: Some(&words),
            ..scan()
        },
    ];
    for (number, broken) in broken.into_iter().enumerate() {
        let mut shortlists = vec![Shortlist::new(5); 2];
        assert!(broken.run(&mut shortlists).is_err(), "{number}");
        assert!(shortlists.iter_mut().all(|list| list.finish().is_empty()));
        // The nearest are found without slacks.
        let mut nearest = [(3, 3.0); 2];
        let is_refused = nearest_bytes(&broken, &mut nearest).is_err();
        assert_eq!(is_refused, !matches!(number, 7 | 9), "{number}");
        assert_eq!(nearest == [(3, 3.0); 2], is_refused);
    }
    assert!(scan().run(&mut [Shortlist::new(1)]).is_err());
    assert!(nearest_bytes(&scan(), &mut []).is_err());
    let not_finite = Err(Error::NotFinite { row: 1 });
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let rows = [0.0, 0.0, 0.0, value];
        assert_eq!(ByteQueries::new(&rows, 2).map(|_| ()), not_finite);
        let (mut scales, mut errors) = ([0.0; 2], [0.0; 2]);
        let encoded = encode_bytes(&rows, 2, &mut [0; 64], &mut scales, &mut errors);
        assert_eq!(encoded, not_finite);
    }
    assert!(ByteQueries::new(&[1.0; 3], 2).is_err());
    assert!(ByteQueries::new(&[1.0; 3], 0).is_err());
    assert!(ByteQueries::new(&[], 0).is_ok_and(|queries| queries.is_empty()));
    assert!(decode_byte_row(&coded.codes, 4, 32, 1.0, &mut [0.0; 4]).is_err());
    assert!(decode_byte_row(&coded.codes, 4, 0, 1.0, &mut [0.0; 3]).is_err());
    assert!(decode_byte_row(&coded.codes, 12, 0, 1.0, &mut [0.0; 12]).is_err());
}
