//! The index of lists from outside: its recall against brute force, what writes do to it, and what
//! it refuses.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

use std::collections::{BTreeMap, HashSet};

use longtrainer_index::{
    AutoIndex, Codes, Error, FlatIndex, Hit, IvfIndex, IvfOptions, Metric, Search, VectorIndex,
};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const METRICS: [Metric; 3] = [Metric::InnerProduct, Metric::Cosine, Metric::L2];
const CODES: [Codes; 2] = [Codes::Bits, Codes::Bytes];
const DIMENSION: usize = 48;

/// Vectors around some hundred middles.
fn clustered(rng: &mut StdRng, count: usize) -> Vec<f32> {
    let middles: Vec<f32> = (0..100 * DIMENSION)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    (0..count)
        .flat_map(|_| {
            let middle = rng.random_range(0..100) * DIMENSION;
            let noise: Vec<f32> = (0..DIMENSION)
                .map(|_| rng.random_range(-0.6..0.6))
                .collect();
            let middle = middles[middle..middle + DIMENSION].to_vec();
            middle.into_iter().zip(noise).map(|(a, b)| a + b)
        })
        .collect()
}

fn options(recall: f32, codes: Codes) -> IvfOptions {
    IvfOptions {
        recall,
        codes,
        ..IvfOptions::default()
    }
}

fn trained(metric: Metric, recall: f32, codes: Codes, vectors: &[f32]) -> IvfIndex {
    let index = IvfIndex::new(DIMENSION, metric, options(recall, codes)).unwrap();
    let ids: Vec<u64> = (0..(vectors.len() / DIMENSION) as u64).collect();
    index.upsert(&ids, vectors).unwrap();
    index.train().unwrap();
    index
}

fn flat(metric: Metric, vectors: &[f32]) -> FlatIndex {
    let index = FlatIndex::new(DIMENSION, metric).unwrap();
    let ids: Vec<u64> = (0..(vectors.len() / DIMENSION) as u64).collect();
    index.upsert(&ids, vectors).unwrap();
    index
}

/// The share of the true hits that were found.
fn recall(found: &[Vec<Hit>], truth: &[Vec<Hit>]) -> f64 {
    let ids = |hits: &[Hit]| hits.iter().map(|hit| hit.id).collect::<HashSet<_>>();
    let pairs = found.iter().zip(truth);
    let common: usize = pairs
        .map(|(found, truth)| ids(found).intersection(&ids(truth)).count())
        .sum();
    common as f64 / truth.iter().map(Vec::len).sum::<usize>() as f64
}

#[test]
fn the_recall_that_was_asked_for_is_reached() {
    let mut rng = StdRng::seed_from_u64(1);
    let all = clustered(&mut rng, 6200);
    let (queries, vectors) = all.split_at(200 * DIMENSION);
    for metric in METRICS {
        let truth = flat(metric, vectors).search_batch(queries, 10).unwrap();
        for codes in CODES {
            for wanted in [0.8, 0.95] {
                let index = trained(metric, wanted, codes, vectors);
                let tuning = index.tuning().unwrap();
                let found = index.search_batch(queries, 10).unwrap();
                let reached = recall(&found, &truth);
                assert!(
                    reached >= f64::from(wanted) - 0.03,
                    "{metric:?} {codes:?} {tuning:?}: {reached}"
                );
                assert!(
                    tuning.probes < tuning.lists,
                    "{metric:?} {codes:?}: {tuning:?}"
                );
                for (query, hits) in queries.chunks(DIMENSION).zip(&found) {
                    assert_eq!(index.search(query, 10).unwrap(), *hits);
                }
            }
        }
    }
}

/// Scores are exact even where the choice of vectors is not.
#[test]
fn hits_have_exact_scores_in_order() {
    let mut rng = StdRng::seed_from_u64(2);
    let vectors = clustered(&mut rng, 3000);
    for metric in METRICS {
        let exact = flat(metric, &vectors);
        let index = trained(metric, 0.9, Codes::Bits, &vectors);
        let query = &vectors[7 * DIMENSION..8 * DIMENSION];
        let scores: BTreeMap<u64, f32> = exact
            .search(query, 3000)
            .unwrap()
            .iter()
            .map(|hit| (hit.id, hit.score))
            .collect();
        let hits = index.search(query, 20).unwrap();
        assert_eq!(hits.len(), 20);
        assert!(hits.iter().all(|hit| scores[&hit.id] == hit.score));
        assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
        let thorough = index.search_with(query, 20, Search::Exact).unwrap();
        assert_eq!(thorough, exact.search(query, 20).unwrap());
        let everything = Search::Effort {
            probes: usize::MAX,
            rerank: usize::MAX,
        };
        assert_eq!(index.search_with(query, 20, everything).unwrap(), thorough);
        let least = thorough[9].score;
        assert_eq!(index.search_range(query, least).unwrap(), thorough[..10]);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Upsert(Vec<u64>, u64),
    Remove(Vec<u64>),
    Compact,
    Train,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ids = || proptest::collection::btree_set(0..3000_u64, 1..1200);
    let step = prop_oneof![
        3 => (ids(), any::<u64>()).prop_map(|(ids, seed)| Step::Upsert(ids.into_iter().collect(), seed)),
        2 => ids().prop_map(|ids| Step::Remove(ids.into_iter().collect())),
        1 => Just(Step::Compact),
        1 => Just(Step::Train),
    ];
    proptest::collection::vec(step, 1..7)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever was written, a search of all lists finds what an exact index of the same vectors
    /// finds, with and without a filter, and a usual one finds most of it.
    #[test]
    fn writes_lose_and_invent_nothing(steps in steps(), metric in 0..3_usize, bytes: bool) {
        let metric = METRICS[metric];
        let mut rng = StdRng::seed_from_u64(9);
        let index = trained(metric, 0.95, CODES[usize::from(bytes)], &clustered(&mut rng, 1500));
        let exact = flat(metric, &clustered(&mut StdRng::seed_from_u64(9), 1500));
        for step in &steps {
            match step {
                Step::Upsert(ids, seed) => {
                    let vectors = clustered(&mut StdRng::seed_from_u64(*seed), ids.len());
                    index.upsert(ids, &vectors).unwrap();
                    exact.upsert(ids, &vectors).unwrap();
                }
                Step::Remove(ids) => {
                    prop_assert_eq!(index.remove(ids).unwrap(), exact.remove(ids).unwrap());
                }
                Step::Compact => index.compact().unwrap(),
                Step::Train if index.is_empty() => {}
                Step::Train => index.train().unwrap(),
            }
            prop_assert_eq!(index.len(), exact.len());
        }
        let queries = clustered(&mut rng, 20);
        let everything = Search::Effort { probes: usize::MAX, rerank: usize::MAX };
        for query in queries.chunks(DIMENSION) {
            let truth = exact.search(query, 15).unwrap();
            prop_assert_eq!(&index.search_with(query, 15, everything).unwrap(), &truth);
            prop_assert_eq!(index.search(query, 15).unwrap().len(), truth.len());
            for accept in [|id: u64| id.is_multiple_of(3), |id: u64| id < 20, |_: u64| false] {
                let truth = exact.search_filtered(query, 15, &accept).unwrap();
                prop_assert_eq!(&index.search_filtered(query, 15, &accept).unwrap(), &truth);
            }
        }
    }
}

/// Where everything near the query was removed, what is left is found all the same.
#[test]
fn removing_the_neighbourhood_leaves_the_rest_to_be_found() {
    let mut rng = StdRng::seed_from_u64(4);
    let vectors = clustered(&mut rng, 4000);
    let index = trained(Metric::L2, 0.8, Codes::Bits, &vectors);
    let query = &vectors[..DIMENSION];
    let near: Vec<u64> = index
        .search_with(query, 900, Search::Exact)
        .unwrap()
        .iter()
        .map(|hit| hit.id)
        .collect();
    assert_eq!(index.remove(&near).unwrap(), 900);
    let hits = index.search(query, 10).unwrap();
    assert_eq!(hits.len(), 10);
    assert!(hits.iter().all(|hit| !near.contains(&hit.id)));
    assert_eq!(index.search_batch(query, 10).unwrap(), [hits]);
}

#[test]
fn memory_comes_back() {
    let mut rng = StdRng::seed_from_u64(5);
    let vectors = clustered(&mut rng, 8000);
    let index = trained(Metric::Cosine, 0.9, Codes::Bits, &vectors);
    let full = index.memory().owned;
    let most: Vec<u64> = (0..7000).collect();
    index.remove(&most).unwrap();
    index.compact().unwrap();
    assert!(
        index.memory().owned < full / 4,
        "{} of {full}",
        index.memory().owned
    );
}

/// Readers see whole writes: each write replaces all vectors by ones of one direction.
#[test]
fn a_search_sees_one_moment() {
    let index = FlatIndex::new(2, Metric::InnerProduct).unwrap();
    let ids: Vec<u64> = (0..3000).collect();
    let of = |value: f32| [value, 0.0].repeat(3000);
    index.upsert(&ids, &of(1.0)).unwrap();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = HashSet::new();
                    for _ in 0..200 {
                        let hits = index.search(&[1.0, 0.0], 3000).unwrap();
                        assert_eq!(hits.len(), 3000);
                        assert!(hits.iter().all(|hit| hit.score == hits[0].score));
                        seen.insert(hits[0].score.to_bits());
                    }
                    seen.len()
                })
            })
            .collect();
        for value in 2..40 {
            index.upsert(&ids, &of(value as f32)).unwrap();
        }
        assert!(
            readers
                .into_iter()
                .all(|reader| reader.join().unwrap() >= 1)
        );
    });
}

#[test]
fn new_vectors_elsewhere_train_the_lists_again() {
    let mut rng = StdRng::seed_from_u64(6);
    let vectors = clustered(&mut rng, 3000);
    let index = trained(Metric::L2, 0.9, Codes::Bits, &vectors);
    let before = index.tuning().unwrap();
    let far: Vec<f32> = clustered(&mut rng, 900).iter().map(|x| x + 5.0).collect();
    let ids: Vec<u64> = (10_000..10_900).collect();
    index.upsert(&ids, &far).unwrap();
    assert!(
        index.tuning().unwrap().lists > before.lists,
        "{before:?} {:?}",
        index.tuning()
    );
}

#[test]
fn an_automatic_index_gets_its_lists_when_they_pay() {
    let mut rng = StdRng::seed_from_u64(7);
    let vectors = clustered(&mut rng, 21_000);
    let index = AutoIndex::new(DIMENSION, Metric::Cosine, IvfOptions::default()).unwrap();
    let ids: Vec<u64> = (0..21_000).collect();
    let cut = 15_000;
    index
        .upsert(&ids[..cut], &vectors[..cut * DIMENSION])
        .unwrap();
    assert_eq!(index.tuning(), None);
    index
        .upsert(&ids[cut..], &vectors[cut * DIMENSION..])
        .unwrap();
    let tuning = index.tuning().unwrap();
    assert!(tuning.recall >= 0.95, "{tuning:?}");
    index.remove(&ids[5000..]).unwrap();
    assert_eq!(index.tuning(), None);
    assert_eq!(index.search(&vectors[..DIMENSION], 1).unwrap()[0].id, 0);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let error = |options| {
        IvfIndex::new(8, Metric::L2, options)
            .unwrap_err()
            .to_string()
    };
    for recall in [0.0, -1.0, 1.5, f32::NAN] {
        let refused = error(options(recall, Codes::Bits));
        assert!(refused.contains("recall"), "{refused}");
    }
    let none = IvfOptions {
        lists: Some(0),
        ..IvfOptions::default()
    };
    assert!(error(none).contains("lists"));
    for dimension in [0, 131_073] {
        let refused = IvfIndex::new(dimension, Metric::L2, IvfOptions::default()).unwrap_err();
        assert!(
            matches!(refused, Error::UnsupportedDimension { .. }),
            "{refused}"
        );
    }
    let many = IvfOptions {
        lists: Some(5),
        ..IvfOptions::default()
    };
    let index = IvfIndex::new(2, Metric::L2, many).unwrap();
    assert!(index.search(&[0.0, 0.0], 3).unwrap().is_empty());
    index.upsert(&[1, 2], &[0.0, 1.0, 2.0, 3.0]).unwrap();
    let refused = index.search(&[0.0, 0.0], 3).unwrap_err();
    assert!(
        matches!(refused, Error::Untrained { vectors: 2 }),
        "{refused}"
    );
    let refused = index.train().unwrap_err();
    assert!(
        matches!(
            refused,
            Error::TooFewVectors {
                vectors: 2,
                lists: 5
            }
        ),
        "{refused}"
    );
    let refused = index
        .search_with(&[0.0, 0.0], 3, Search::Recall(2.0))
        .unwrap_err();
    assert!(
        matches!(
            refused,
            Error::Option {
                option: "recall",
                ..
            }
        ),
        "{refused}"
    );
}

/// All alike, all zeros, one vector, huge components: nothing to divide, but nothing breaks.
#[test]
fn degenerate_vectors_are_found() {
    let same = [1.0, 2.0, 3.0].repeat(500);
    let zeros = vec![0.0; 1500];
    let large: Vec<f32> = (0..1500)
        .map(|i| if i % 2 == 0 { 1e15 } else { -1e15 })
        .collect();
    for vectors in [&same[..], &zeros, &large, &[1.0, 2.0, 3.0]] {
        let ids: Vec<u64> = (0..(vectors.len() / 3) as u64).collect();
        for metric in METRICS {
            if metric == Metric::Cosine && vectors[0] == 0.0 {
                continue;
            }
            for codes in CODES {
                let index = IvfIndex::new(3, metric, options(0.9, codes)).unwrap();
                index.upsert(&ids, vectors).unwrap();
                index.train().unwrap();
                let hits = index.search(&vectors[..3], 10).unwrap();
                assert_eq!(hits.len(), ids.len().min(10), "{metric:?} {codes:?}");
                let hits = index.search(&[3e38; 3], 10).unwrap();
                assert_eq!(hits.len(), ids.len().min(10), "{metric:?} {codes:?}");
                if metric != Metric::Cosine {
                    let refused = index.upsert(&[7], &[0.0, -2e15, 0.0]).unwrap_err();
                    assert!(
                        matches!(refused, Error::TooGreat { id: 7, position: 1 }),
                        "{refused}"
                    );
                }
            }
        }
    }
}
