//! Every tier that the machine has against plain arithmetic written down again here, bit for bit, and
//! the sums against f64.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::layout::byte_of;
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

fn encode(rows: &[f32], dimension: usize) -> Vec<u8> {
    let blocks = (rows.len() / dimension).div_ceil(32);
    let mut codes = vec![0xff; blocks * bit_block_len(dimension)];
    encode_bits(rows, dimension, &mut codes).unwrap();
    codes
}

/// The sums of a row: as the tables give it, and in f64.
fn sums(query: &BitQuery, values: &[f32], row: &[f32]) -> (f32, f64) {
    let (mut whole, mut exact) = (0i32, 0.0);
    let signs = |row: &[f32]| -> Vec<bool> { row.iter().map(|sign| *sign >= 0.0).collect() };
    for (number, four) in row.chunks(4).enumerate() {
        let signs = signs(four);
        let entry = (0..signs.len())
            .map(|i| usize::from(signs[i]) << i)
            .sum::<usize>();
        let tables = &query.tables()[number / 4].0;
        whole += i32::from(tables[number % 4 * 16 + entry]) - 128;
    }
    for (value, sign) in values.iter().zip(signs(row)) {
        exact += f64::from(*value) * if sign { 1.0 } else { -1.0 };
    }
    (whole as f32 * query.scale(), exact)
}

fn check(scan: &BitScan<'_>, values: &[f32], rows: &[f32]) {
    let dimension = values.len();
    let row_of = |position: usize| match scan.rows {
        RowIds::First(first) => first + position as u32,
        RowIds::Listed(rows) => rows[position],
    };
    for (isa, cpu) in tiers() {
        for k in [1, 5, 1000] {
            let mut shortlist = Shortlist::new(k);
            scan.run_on(cpu, &mut shortlist).unwrap();
            let mut expected = Shortlist::new(k);
            for (position, row) in rows.chunks(dimension).enumerate() {
                let (t, exact) = sums(scan.query, values, row);
                let off = (f64::from(t) - exact).abs();
                assert!(off <= f64::from(scan.query.error()), "{off}");
                let offset = scan.offsets.map_or(0.0, |offsets| offsets[position]);
                let score = scan.factors[position].mul_add(t, offset + scan.base);
                let accepted = scan
                    .accept
                    .is_none_or(|words| words[position / 64] >> (position % 64) & 1 == 1);
                if accepted {
                    expected.offer(row_of(position), score, score);
                }
            }
            assert_eq!(shortlist.finish(), expected.finish(), "{isa}, {dimension}");
        }
    }
}

#[test]
fn every_dimension_and_count() {
    let mut rng = StdRng::seed_from_u64(1);
    for dimension in (1..=70).chain([384, 768, 4112, 4200]) {
        let most = if dimension > 1000 { 40 } else { 100 };
        let count = rng.random_range(0..=most);
        let rows = random(&mut rng, count * dimension, 1.0);
        let values = random(&mut rng, dimension, 3.0);
        let query = BitQuery::new(&values).unwrap();
        let scan = BitScan {
            query: &query,
            codes: &encode(&rows, dimension),
            count,
            factors: &random(&mut rng, count, 2.0),
            offsets: None,
            base: 0.0,
            rows: RowIds::First(5),
            accept: None,
        };
        check(&scan, &values, &rows);
    }
}

#[test]
fn every_count_of_rows_with_all_numbers() {
    let mut rng = StdRng::seed_from_u64(2);
    let dimension = 50;
    for count in 0..=100 {
        let rows = random(&mut rng, count * dimension, 1.0);
        let values = random(&mut rng, dimension, 1.0);
        let query = BitQuery::new(&values).unwrap();
        let ids: Vec<u32> = (0..count as u32).map(|row| row * 7919 % 1009).collect();
        let accept: [u64; 2] = [rng.random(), rng.random()];
        for accept in [None, Some(&accept[..]), Some(&[0, 0]), Some(&[1 << 31, 1])] {
            let scan = BitScan {
                query: &query,
                codes: &encode(&rows, dimension),
                count,
                factors: &random(&mut rng, count, 2.0),
                offsets: Some(&random(&mut rng, count, 5.0)),
                base: -3.0,
                rows: RowIds::Listed(&ids),
                accept,
            };
            check(&scan, &values, &rows);
        }
    }
}

#[test]
fn tables_are_the_same_in_every_tier_and_nearly_exact() {
    let mut rng = StdRng::seed_from_u64(3);
    for dimension in [1, 3, 4, 16, 17, 65, 384, 1000] {
        let values = random(&mut rng, dimension, 0.1);
        let expected = BitQuery::new(&values).unwrap();
        // A query that was something longer before is none the worse for it.
        let mut query = BitQuery::new(&vec![1.0; 2000]).unwrap();
        for (isa, cpu) in tiers() {
            query.set_on(cpu, &values).unwrap();
            assert_eq!(query.dimension(), dimension);
            assert_eq!(query.scale(), expected.scale(), "{isa}");
            let tables = query.tables().iter().zip(expected.tables());
            assert!(tables.into_iter().all(|(a, b)| a.0 == b.0), "{isa}");
        }
        // Half a unit of 127 for each table, and rounding.
        let greatest = values
            .chunks(4)
            .map(|four| four.iter().map(|v| v.abs()).sum::<f32>());
        let greatest = greatest.fold(0.0, f32::max);
        let unit = dimension.div_ceil(4) as f32 * greatest / 127.0;
        assert!(query.error() >= unit * 0.5 && query.error() < unit * 0.51);
    }
}

#[test]
fn extremes_give_no_panic_and_no_nan() {
    for value in [0.0, 1e-45, 1e-38, f32::MAX / 4.1] {
        let values = vec![value; 40];
        let mut rows = vec![1.0; 33 * 40];
        rows[40..80].fill(-1.0);
        rows[80..90].fill(-0.0);
        rows[90..100].fill(f32::NAN);
        let query = BitQuery::new(&values).unwrap();
        let codes = encode(&rows, 40);
        let factors = [f32::MAX, f32::NAN, f32::INFINITY].repeat(11);
        for (_, cpu) in tiers() {
            let mut shortlist = Shortlist::new(100);
            let scan = BitScan {
                query: &query,
                codes: &codes,
                count: 33,
                factors: &factors,
                offsets: None,
                base: 0.0,
                rows: RowIds::First(0),
                accept: None,
            };
            scan.run_on(cpu, &mut shortlist).unwrap();
            let kept = shortlist.finish();
            assert!(kept.iter().all(|kept| !kept.upper.is_nan()));
            assert!(kept.iter().all(|kept| kept.row % 3 != 1));
        }
    }
    for value in [f32::NAN, f32::INFINITY, f32::MAX] {
        let mut query = BitQuery::new(&[1.0; 5]).unwrap();
        let refused = Err(Error::NotFinite { row: 0 });
        assert_eq!(query.set(&[value; 5]), refused);
        assert_eq!(query.set(&[0.0, 0.0, 0.0, 0.0, value, value]), refused);
        assert_eq!(query.dimension(), 5);
    }
}

#[test]
fn bits_lie_where_the_format_says() {
    let dimension = 21;
    let mut rows = vec![-1.0; 40 * dimension];
    // Component 6 of row 3, component 20 of row 17, component 0 of row 39.
    rows[3 * dimension + 6] = 1.0;
    rows[17 * dimension + 20] = 0.0;
    rows[39 * dimension] = 1.0;
    let codes = encode(&rows, dimension);
    let mut expected = vec![0; 2 * 128];
    expected[byte_of(1, 3)] = 0b100;
    expected[byte_of(5, 17)] = 0b1_0000;
    expected[128 + byte_of(0, 7)] = 1;
    assert_eq!(codes, expected);
}

#[test]
fn misfits_are_errors_and_change_nothing() {
    let (dimension, count) = (20, 33);
    let codes = encode(&vec![1.0; count * dimension], dimension);
    let query = BitQuery::new(&vec![1.0; dimension]).unwrap();
    let (factors, short) = (vec![1.0; count], vec![1.0; count - 1]);
    let scan = || BitScan {
        query: &query,
        codes: &codes,
        count,
        factors: &factors,
        offsets: None,
        base: 0.0,
        rows: RowIds::First(0),
        accept: None,
    };
    let broken = [
        BitScan {
            codes: &codes[1..],
            ..scan()
        },
        BitScan {
            count: 34,
            ..scan()
        },
        BitScan {
            count: 65,
            ..scan()
        },
        BitScan {
            count: usize::MAX,
            ..scan()
        },
        BitScan {
            factors: &short,
            ..scan()
        },
        BitScan {
            offsets: Some(&short),
            ..scan()
        },
        BitScan {
            rows: RowIds::First(u32::MAX - 32),
            ..scan()
        },
        BitScan {
            rows: RowIds::Listed(&[0; 32]),
            ..scan()
        },
        BitScan {
            accept: Some(&[]),
            ..scan()
        },
    ];
    for broken in broken {
        let mut shortlist = Shortlist::new(5);
        assert!(broken.run(&mut shortlist).is_err());
        assert_eq!(shortlist.finish(), []);
    }
    assert!(scan().run(&mut Shortlist::new(5)).is_ok());
    assert!(encode_bits(&[1.0; 30], 20, &mut [0; 128]).is_err());
    assert!(encode_bits(&[1.0; 20], 20, &mut [0; 64]).is_err());
    assert!(matches!(
        BitQuery::new(&vec![0.0; (1 << 17) + 1]),
        Err(Error::Dimension { .. })
    ));
}
