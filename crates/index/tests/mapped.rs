//! Indexes of every kind after a trip through their file: the same answers from mapped sections,
//! writes on top of them, and damage that is found when it is met.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

use std::fs;
use std::path::PathBuf;

use longtrainer_index::{
    AutoIndex, Codes, Error, FlatIndex, IvfIndex, IvfOptions, Metric, Scan, VectorIndex,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const DIMENSION: usize = 20;
const METRICS: [Metric; 3] = [Metric::InnerProduct, Metric::Cosine, Metric::L2];

fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count * DIMENSION)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect()
}

fn ids(count: usize) -> Vec<u64> {
    (0..count as u64).map(|row| row * 3 + 1).collect()
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("an.index")
    }
}

/// Both answer alike, also after the same writes, and after another trip.
fn assert_same(before: &dyn VectorIndex, after: &dyn VectorIndex) {
    let queries = random(77, 60);
    assert_eq!(
        (before.len(), before.metric()),
        (after.len(), after.metric())
    );
    for query in queries.chunks(DIMENSION) {
        assert_eq!(
            before.search(query, 12).unwrap(),
            after.search(query, 12).unwrap()
        );
        let third = |id: u64| id.is_multiple_of(3);
        assert_eq!(
            before.search_filtered(query, 12, &third).unwrap(),
            after.search_filtered(query, 12, &third).unwrap()
        );
    }
    assert_eq!(
        before.search_batch(&queries, 9).unwrap(),
        after.search_batch(&queries, 9).unwrap()
    );
}

fn write_both(before: &dyn VectorIndex, after: &dyn VectorIndex) {
    let (new, some) = (random(5, 70), ids(300));
    let moved: Vec<u64> = some[..40]
        .iter()
        .copied()
        .chain(1_000_000..1_000_030)
        .collect();
    for index in [before, after] {
        index.upsert(&moved, &new).unwrap();
        index.remove(&some[30..200]).unwrap();
    }
}

#[test]
fn a_mapped_index_is_the_one_that_was_saved() {
    let (vectors, place) = (random(1, 2500), Place::new());
    for metric in METRICS {
        for scan in [Scan::Vectors, Scan::Bytes] {
            let index = FlatIndex::with_scan(DIMENSION, metric, scan).unwrap();
            index.upsert(&ids(2500), &vectors).unwrap();
            index.save(&place.path(), 4).unwrap();
            let (opened, revision) = FlatIndex::open(place.path()).unwrap();
            assert_eq!(revision, 4);
            assert_same(&index, &opened);
            write_both(&index, &opened);
            assert_same(&index, &opened);
            opened.save(&place.path(), 5).unwrap();
            assert_same(&index, &FlatIndex::open(place.path()).unwrap().0);
        }
        for codes in [Codes::Bits, Codes::Bytes] {
            let options = IvfOptions {
                codes,
                ..IvfOptions::default()
            };
            let index = IvfIndex::new(DIMENSION, metric, options.clone()).unwrap();
            index.upsert(&ids(2500), &vectors).unwrap();
            index.train().unwrap();
            index.save(&place.path(), 6).unwrap();
            let (opened, _) = IvfIndex::open(place.path(), options.clone()).unwrap();
            assert_eq!(opened.tuning(), index.tuning());
            assert_same(&index, &opened);
            write_both(&index, &opened);
            assert_same(&index, &opened);
            opened.save(&place.path(), 7).unwrap();
            let (again, revision) = AutoIndex::open(place.path(), options).unwrap();
            assert_eq!((again.len(), revision), (index.len(), 7));
            let refused = FlatIndex::open(place.path()).unwrap_err();
            assert!(matches!(refused, Error::Kind { .. }), "{refused}");
        }
    }
}

#[test]
fn vectors_and_codes_are_not_copied() {
    let (vectors, place) = (random(2, 5000), Place::new());
    let options = IvfOptions::default();
    let index = IvfIndex::new(DIMENSION, Metric::L2, options.clone()).unwrap();
    index.upsert(&ids(5000), &vectors).unwrap();
    index.train().unwrap();
    index.save(&place.path(), 0).unwrap();
    let (opened, _) = IvfIndex::open(place.path(), options).unwrap();
    opened.search(&vectors[..DIMENSION], 10).unwrap();
    let memory = opened.memory();
    assert!(memory.mapped >= 5000 * (DIMENSION * 4 + 8), "{memory:?}");
    assert!(memory.owned < memory.mapped / 4, "{memory:?}");
    // The file may be replaced while it is open: what was opened stays.
    let before = opened.search(&vectors[..DIMENSION], 10).unwrap();
    FlatIndex::new(DIMENSION, Metric::L2)
        .unwrap()
        .save(&place.path(), 1)
        .unwrap();
    assert_eq!(opened.search(&vectors[..DIMENSION], 10).unwrap(), before);
}

/// Whatever byte is changed, opening and searching gives the old answers or an error that names the
/// file; never other answers, never a panic.
#[test]
fn damage_is_found_before_it_is_believed() {
    let (vectors, place) = (random(3, 300), Place::new());
    let options = IvfOptions {
        lists: Some(5),
        ..IvfOptions::default()
    };
    let index = IvfIndex::new(DIMENSION, Metric::L2, options.clone()).unwrap();
    index.upsert(&ids(300), &vectors).unwrap();
    index.train().unwrap();
    index.save(&place.path(), 0).unwrap();
    let whole = fs::read(place.path()).unwrap();
    let query = &vectors[..DIMENSION];
    let truth = index.search(query, 10).unwrap();
    let mut errors = 0;
    for at in (0..whole.len()).step_by(7) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(place.path(), &changed).unwrap();
        let found = IvfIndex::open(place.path(), options.clone())
            .and_then(|(opened, _)| opened.search(query, 10));
        match found {
            Ok(hits) => assert_eq!(hits, truth, "byte {at}"),
            Err(error) => {
                assert!(error.to_string().contains("an.index"), "byte {at}: {error}");
                errors += 1;
            }
        }
    }
    assert!(
        errors * 7 * 2 > whole.len(),
        "{errors} of {}",
        whole.len() / 7
    );
}

#[test]
fn an_untrained_index_can_be_saved_and_trained_later() {
    let (vectors, place) = (random(4, 200), Place::new());
    let index = IvfIndex::new(DIMENSION, Metric::Cosine, IvfOptions::default()).unwrap();
    index.upsert(&ids(200), &vectors).unwrap();
    index.save(&place.path(), 0).unwrap();
    let (opened, _) = IvfIndex::open(place.path(), IvfOptions::default()).unwrap();
    assert!(!opened.is_trained());
    opened.train().unwrap();
    assert_eq!(opened.search(&vectors[..DIMENSION], 1).unwrap()[0].id, 1);
    let empty = IvfIndex::new(DIMENSION, Metric::Cosine, IvfOptions::default()).unwrap();
    empty.save(&place.path(), 0).unwrap();
    assert!(
        IvfIndex::open(place.path(), IvfOptions::default())
            .unwrap()
            .0
            .is_empty()
    );
}
