//! The exact index from outside: what it finds against brute force in f64, and what it refuses.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

use std::collections::{BTreeMap, HashSet};

use longtrainer_index::{Error, FlatIndex, Hit, Metric, Scan, VectorIndex};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const METRICS: [Metric; 3] = [Metric::InnerProduct, Metric::Cosine, Metric::L2];

/// What the index should hold.
type Model = BTreeMap<u64, Vec<f32>>;

fn score(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let wide = |vector: &[f32]| vector.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
    let (a, b) = (wide(a), wide(b));
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    match metric {
        Metric::InnerProduct => product(&a, &b),
        Metric::Cosine => product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt(),
        Metric::L2 => -a
            .iter()
            .zip(&b)
            .map(|(a, b)| (a - b) * (a - b))
            .sum::<f64>(),
    }
}

/// The nearest by brute force, in the order that the trait promises.
fn nearest(model: &Model, metric: Metric, query: &[f32], k: usize) -> Vec<(u64, f64)> {
    let mut all: Vec<_> = model
        .iter()
        .map(|(&id, vector)| (id, score(metric, query, vector)))
        .collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(k);
    all
}

/// Each hit's score is its vector's, and the hits are as near as the nearest are, place by place.
/// (Ids are compared where arithmetic is exact, see `exact_arithmetic_gives_exact_ids`.)
fn assert_nearest(model: &Model, metric: Metric, query: &[f32], k: usize, hits: &[Hit]) {
    let expected = nearest(model, metric, query, k);
    assert_eq!(hits.len(), expected.len());
    let size = query
        .iter()
        .chain(model.values().flatten())
        .fold(1.0, |m: f32, x| m.max(x.abs()));
    let tolerance = 1e-6 * query.len() as f64 * f64::from(size * size);
    for (hit, (_, best)) in hits.iter().zip(&expected) {
        let own = score(metric, query, &model[&hit.id]);
        assert!(
            (own - f64::from(hit.score)).abs() <= tolerance,
            "{hit:?}, in f64 {own}"
        );
        assert!(
            (best - own).abs() <= 2.0 * tolerance,
            "{hit:?} instead of {best}"
        );
    }
    for pair in hits.windows(2) {
        let ordered = pair[0].score > pair[1].score
            || (pair[0].score == pair[1].score && pair[0].id < pair[1].id);
        assert!(ordered, "{pair:?}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Upsert(Vec<(u64, Vec<f32>)>),
    Remove(Vec<u64>),
}

fn steps(dimension: usize) -> impl Strategy<Value = Vec<Step>> {
    let vector = proptest::collection::vec(-4.0_f32..4.0, dimension)
        .prop_filter("a direction", |vector| vector.iter().any(|&x| x != 0.0));
    let upsert = proptest::collection::btree_map(0..60_u64, vector, 0..25)
        .prop_map(|vectors| Step::Upsert(vectors.into_iter().collect()));
    let remove = proptest::collection::vec(0..60_u64, 0..20).prop_map(Step::Remove);
    proptest::collection::vec(prop_oneof![3 => upsert, 1 => remove], 0..8)
}

fn apply(step: &Step, index: &FlatIndex, model: &mut Model) {
    match step {
        Step::Upsert(vectors) => {
            let ids: Vec<u64> = vectors.iter().map(|(id, _)| *id).collect();
            let components: Vec<f32> = vectors.iter().flat_map(|(_, v)| v.clone()).collect();
            index.upsert(&ids, &components).unwrap();
            model.extend(vectors.iter().cloned());
        }
        Step::Remove(ids) => {
            let distinct: HashSet<u64> = ids.iter().copied().collect();
            let removed = distinct
                .iter()
                .filter(|id| model.remove(id).is_some())
                .count();
            assert_eq!(index.remove(ids).unwrap(), removed);
        }
    }
    assert_eq!(index.len(), model.len());
}

fn case() -> impl Strategy<Value = (Vec<Step>, Vec<f32>, usize)> {
    (1..40_usize).prop_flat_map(|dimension| {
        let queries = proptest::collection::vec(0.1_f32..4.0, 3 * dimension);
        (steps(dimension), queries, 0..70_usize)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn finds_what_brute_force_finds((steps, queries, k) in case()) {
        let dimension = queries.len() / 3;
        for metric in METRICS {
            let index = FlatIndex::new(dimension, metric).unwrap();
            let mut model = Model::new();
            steps.iter().for_each(|step| apply(step, &index, &mut model));
            let even: Model =
                model.clone().into_iter().filter(|(id, _)| id.is_multiple_of(2)).collect();
            let batch = index.search_batch(&queries, k).unwrap();
            for (query, hits) in queries.chunks(dimension).zip(batch) {
                assert_nearest(&model, metric, query, k, &hits);
                prop_assert_eq!(index.search(query, k).unwrap(), hits);
                let filtered = index.search_filtered(query, k, &|id| id.is_multiple_of(2)).unwrap();
                assert_nearest(&even, metric, query, k, &filtered);
                prop_assert!(index.search_filtered(query, k, &|_| false).unwrap().is_empty());
            }
        }
    }
}

/// Small whole numbers: sums are exact and ties are frequent, so ids must agree one by one.
#[test]
fn exact_arithmetic_gives_exact_ids() {
    let mut rng = StdRng::seed_from_u64(3);
    for metric in [Metric::InnerProduct, Metric::L2] {
        let index = FlatIndex::new(5, metric).unwrap();
        let mut model = Model::new();
        for id in (0..900).rev() {
            let vector: Vec<f32> = (0..5).map(|_| rng.random_range(-2..=2) as f32).collect();
            index.upsert(&[id], &vector).unwrap();
            model.insert(id, vector);
        }
        for id in (0..900).step_by(3) {
            assert_eq!(
                index.remove(&[id]).unwrap(),
                usize::from(model.remove(&id).is_some())
            );
        }
        let ids = |hits: Vec<Hit>| hits.into_iter().map(|hit| hit.id).collect::<Vec<_>>();
        for k in [1, 7, 200, 600, 601] {
            let query: Vec<f32> = (0..5).map(|_| rng.random_range(-2..=2) as f32).collect();
            let expected = nearest(&model, metric, &query, k);
            let expected: Vec<u64> = expected.into_iter().map(|(id, _)| id).collect();
            assert_eq!(ids(index.search(&query, k).unwrap()), expected);
        }
    }
}

/// Large enough for several threads, with every vector stored many times.
#[test]
fn any_number_of_threads_gives_the_same_hits() {
    let mut rng = StdRng::seed_from_u64(4);
    let (dimension, count) = (48, 60_000);
    let distinct: Vec<f32> = (0..500 * dimension)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    let mut ids: Vec<u64> = (0..count).map(|i| i * 7919 % count).collect();
    let vectors: Vec<f32> = ids
        .iter()
        .flat_map(|id| &distinct[(id % 500) as usize * dimension..][..dimension])
        .copied()
        .collect();
    let queries: Vec<f32> = (0..19 * dimension)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    for metric in METRICS {
        let with = |threads| {
            let index = FlatIndex::new(dimension, metric).unwrap();
            let index = index.with_threads(threads).unwrap();
            index.upsert(&ids, &vectors).unwrap();
            let batch = index.search_batch(&queries, 130).unwrap();
            let one = index.search(&queries[..dimension], 130).unwrap();
            let odd = index.search_filtered(&queries[..dimension], 130, &|id| id % 2 == 1);
            (batch, one, odd.unwrap())
        };
        let (batch, one, odd) = with(1);
        assert_eq!(batch[0], one);
        // 120 copies of the nearest vector come first, in the order of their ids.
        let first: Vec<u64> = one[..120].iter().map(|hit| hit.id).collect();
        assert!(
            first.windows(2).all(|pair| pair[0] + 500 == pair[1]),
            "{first:?}"
        );
        assert!(odd.iter().all(|hit| hit.id % 2 == 1));
        for threads in [2, 3, 8] {
            assert!(
                with(threads) == (batch.clone(), one.clone(), odd.clone()),
                "{threads}"
            );
        }
    }
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
}

/// Vectors of very different lengths, many nearly alike, some zeros, some repeated.
fn varied(rng: &mut StdRng, dimension: usize, count: usize) -> Vec<f32> {
    let middle: Vec<f32> = (0..dimension)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    let mut vectors = Vec::new();
    for row in 0..count {
        let scale = [1.0, 1.0, 1e-3, 1e6][rng.random_range(0..4)];
        let noise = [0.0, 1e-4, 1.0][rng.random_range(0..3)];
        match row % 97 {
            0 => vectors.extend(vec![0.0; dimension]),
            1 if row > 1 => vectors.extend_from_within(..dimension),
            _ => vectors.extend(
                middle
                    .iter()
                    .map(|x| scale * (x + noise * rng.random_range(-1.0..1.0))),
            ),
        }
    }
    vectors
}

/// Whatever is read first, bytes or vectors, one query or a batch, the hits are the same to the bit.
#[test]
fn codes_change_no_answer() {
    let mut rng = StdRng::seed_from_u64(8);
    for (dimension, count) in [(1, 1500), (7, 3000), (64, 2500), (385, 1100)] {
        let vectors = varied(&mut rng, dimension, count);
        let queries = varied(&mut rng, dimension, 100);
        let ids: Vec<u64> = (0..count as u64).collect();
        for metric in [Metric::InnerProduct, Metric::L2] {
            let plain = FlatIndex::new(dimension, metric).unwrap();
            let coded = FlatIndex::with_scan(dimension, metric, Scan::Bytes).unwrap();
            for index in [&plain, &coded] {
                index
                    .upsert(&ids[..count / 2], &vectors[..count / 2 * dimension])
                    .unwrap();
                index
                    .upsert(&ids[count / 3..], &vectors[count / 3 * dimension..])
                    .unwrap();
                index.remove(&ids[40..200]).unwrap();
            }
            for k in [1, 10, 60] {
                let batch = plain.search_batch(&queries, k).unwrap();
                assert!(coded.search_batch(&queries, k).unwrap() == batch);
                for (query, hits) in queries.chunks(dimension).zip(&batch) {
                    assert_eq!(
                        plain.search(query, k).unwrap(),
                        *hits,
                        "{metric:?} {dimension} {k}"
                    );
                    assert_eq!(
                        coded.search(query, k).unwrap(),
                        *hits,
                        "{metric:?} {dimension} {k}"
                    );
                }
                let odd = |id: u64| id % 2 == 1;
                let query = &queries[..dimension];
                let hits = plain.search_filtered(query, k, &odd).unwrap();
                assert_eq!(coded.search_filtered(query, k, &odd).unwrap(), hits);
            }
        }
    }
}

fn small(metric: Metric) -> FlatIndex {
    let index = FlatIndex::new(2, metric).unwrap();
    index
        .upsert(&[1, 2, 3], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0])
        .unwrap();
    index
}

#[test]
fn k_of_nothing_and_of_more_than_there_is() {
    for metric in METRICS {
        let index = small(metric);
        assert_eq!(index.search(&[1.0, 0.5], 0).unwrap(), []);
        assert_eq!(index.search(&[1.0, 0.5], usize::MAX).unwrap().len(), 3);
        assert_eq!(
            index.search_batch(&[1.0, 0.5, 2.0, 1.0], 0).unwrap(),
            [[], []]
        );
        assert!(index.search_batch(&[], 3).unwrap().is_empty());
        let empty = FlatIndex::new(2, metric).unwrap();
        assert_eq!(empty.search(&[1.0, 0.5], 4).unwrap(), []);
        assert_eq!(empty.search_batch(&[1.0, 0.5], 4).unwrap(), [[]]);
        assert_eq!(
            empty.search_filtered(&[1.0, 0.5], 4, &|_| true).unwrap(),
            []
        );
    }
}

#[test]
fn wrong_numbers_of_components_are_named() {
    for dimension in [0, u32::MAX as usize + 1] {
        let error = FlatIndex::new(dimension, Metric::L2).unwrap_err();
        assert!(
            matches!(error, Error::UnsupportedDimension { received, .. } if received == dimension)
        );
    }
    let index = small(Metric::L2);
    for query in [&[][..], &[1.0], &[1.0, 2.0, 3.0, 4.0]] {
        let error = index.search(query, 1).unwrap_err();
        let received = query.len();
        assert!(matches!(error, Error::Dimension { expected: 2, received: r } if r == received));
        assert!(index.search_filtered(query, 1, &|_| true).is_err());
    }
    let error = index.search_batch(&[1.0; 5], 1).unwrap_err();
    assert!(matches!(
        error,
        Error::PartialQuery {
            dimension: 2,
            received: 5
        }
    ));
    for (ids, components) in [(&[7, 8][..], 3), (&[7], 4), (&[], 2), (&[7], 0)] {
        let error = index.upsert(ids, &vec![1.0; components]).unwrap_err();
        assert!(
            matches!(error, Error::VectorCount { dimension: 2, .. }),
            "{error}"
        );
    }
    assert_eq!(index.len(), 3);
}

#[test]
fn a_refused_vector_is_named_and_nothing_is_stored() {
    let query = [1.0, 0.5];
    for metric in METRICS {
        let index = small(metric);
        let before = index.search(&query, 9).unwrap();
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = index.upsert(&[1, 90], &[5.0, 5.0, 1.0, bad]).unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::NotFinite {
                        id: 90,
                        position: 1
                    }
                ),
                "{error}"
            );
            let error = index.search_batch(&[1.0, 1.0, bad, 1.0], 1).unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::QueryNotFinite {
                        query: 1,
                        position: 0
                    }
                ),
                "{error}"
            );
        }
        let error = index.upsert(&[90, 1, 90], &[1.0; 6]).unwrap_err();
        assert!(matches!(error, Error::DuplicateId { id: 90 }), "{error}");
        assert_eq!(index.search(&query, 9).unwrap(), before);
    }
}

#[test]
fn zero_vectors_have_no_cosine_but_a_product_and_a_distance() {
    let index = small(Metric::Cosine);
    let error = index.upsert(&[1, 90], &[5.0, 5.0, 0.0, -0.0]).unwrap_err();
    assert!(matches!(error, Error::ZeroVector { id: 90 }), "{error}");
    let error = index.search(&[0.0, 0.0], 1).unwrap_err();
    assert!(matches!(error, Error::ZeroQuery { query: 0 }), "{error}");
    assert_eq!(
        index.search(&[1.0, 0.0], 1).unwrap(),
        [Hit { id: 1, score: 1.0 }]
    );
    for metric in [Metric::InnerProduct, Metric::L2] {
        let index = small(metric);
        index.upsert(&[0], &[-0.0, 0.0]).unwrap();
        assert_eq!(
            index.search(&[0.0, 0.0], 1).unwrap(),
            [Hit { id: 0, score: 0.0 }]
        );
    }
}

#[test]
fn cosine_stays_within_its_range_and_ignores_length() {
    let mut rng = StdRng::seed_from_u64(5);
    let index = FlatIndex::new(33, Metric::Cosine).unwrap();
    for id in 0..300 {
        let vector: Vec<f32> = (0..33).map(|_| rng.random_range(-1.0..1.0)).collect();
        index.upsert(&[id], &vector).unwrap();
        let long: Vec<f32> = vector.iter().map(|x| x * 1e30).collect();
        let opposite: Vec<f32> = vector.iter().map(|x| x * -1e-30).collect();
        let hit = index.search(&long, 1).unwrap()[0];
        assert!(
            hit.id == id && hit.score <= 1.0 && hit.score > 1.0 - 1e-6,
            "{hit:?}"
        );
        let hit = index
            .search_filtered(&opposite, 1, &|other| other == id)
            .unwrap()[0];
        assert!(hit.score >= -1.0 && hit.score < -1.0 + 1e-6, "{hit:?}");
    }
}

#[test]
fn values_beyond_the_range_of_floats_still_rank() {
    let index = FlatIndex::new(3, Metric::InnerProduct).unwrap();
    // The sums of 2 and 3 pass infinity on the way to 0 and 1e38.
    index
        .upsert(
            &[1, 2, 3, 4],
            &[
                -1e38, 0.0, 0.0, 3e38, -3e38, 0.0, 3e38, -3e38, 1e37, 3e38, 3e38, 0.0,
            ],
        )
        .unwrap();
    let hits = index.search(&[10.0, 10.0, 10.0], 4).unwrap();
    let received: Vec<_> = hits.iter().map(|hit| (hit.id, hit.score)).collect();
    assert_eq!(
        received,
        [(4, f32::MAX), (3, 1e38), (2, 0.0), (1, f32::MIN)]
    );
    let index = FlatIndex::new(1, Metric::L2).unwrap();
    index.upsert(&[1, 2], &[-3e38, 3e38]).unwrap();
    let hits = index.search(&[3e38], 2).unwrap();
    assert_eq!((hits[0].id, hits[0].score), (2, 0.0));
    assert_eq!((hits[1].id, hits[1].score), (1, f32::MIN));
}

#[test]
fn one_vector_may_be_larger_than_a_block() {
    let dimension = 40_000;
    let index = FlatIndex::new(dimension, Metric::L2).unwrap();
    let vectors: Vec<f32> = (0..5 * dimension).map(|i| (i / dimension) as f32).collect();
    index.upsert(&[10, 11, 12, 13, 14], &vectors).unwrap();
    let hits = index.search(&vec![3.0; dimension], 2).unwrap();
    assert_eq!(hits[0], Hit { id: 13, score: 0.0 });
    assert_eq!(
        hits[1],
        Hit {
            id: 12,
            score: -40_000.0
        }
    );
}
