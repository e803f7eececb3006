//! What comes back of what was written, and what a touch of some elements reads.

use std::sync::Arc;

use proptest::prelude::*;

use super::support::*;
use crate::file::*;
use crate::{Error, Metric};

fn is_damaged<T: std::fmt::Debug>(result: crate::Result<T>, part: &str) -> bool {
    matches!(result, Err(Error::Damaged { part: found, .. }) if found == part)
}

#[test]
fn what_was_written_is_read() {
    let sample = Sample::new();
    for block_size in [64, 128, 4096, 1 << 30] {
        let file = file(&sample.fields(), &sample.sources(block_size));
        let container = open_bytes(&file).unwrap();
        assert_eq!(*container.fields(), sample.fields());
        assert_eq!(Sample::read(&container).unwrap(), sample);
        container.verify().unwrap();
    }
}

#[test]
fn a_file_without_sections_has_none() {
    for metric in [Metric::InnerProduct, Metric::Cosine, Metric::L2] {
        let fields = fields(metric, u32::MAX, u64::MAX);
        let file = file(&fields, &[]);
        assert_eq!(file.len(), 64);
        let container = open_bytes(&file).unwrap();
        assert_eq!(*container.fields(), fields);
        assert!(container.section(IDS).is_none());
    }
}

#[test]
fn every_kind_of_section_has_a_place() {
    fn one<T: Element>(kind: SectionKind<T>, elements: &[T]) -> SectionSource<'_> {
        SectionSource::new(kind, [elements])
    }
    let (bytes, floats, words, longs) = ([7u8; 5], [0.5f32; 6], [8u32; 3], [9u64; 2]);
    let sections = [
        one(IDS, &longs),
        one(VECTORS, &floats),
        one(BYTE_CODES, &bytes),
        one(BYTE_FACTORS, &floats),
        one(BYTE_ERRORS, &floats),
        one(CENTROIDS, &floats),
        one(LIST_LENGTHS, &words),
        one(LIST_ROWS, &words),
        one(LIST_CODES, &bytes),
        one(LIST_FACTORS, &floats),
        one(LIST_OFFSETS, &floats),
        one(TUNING, &longs),
    ];
    let numbers: Vec<u32> = sections.iter().map(|section| section.number).collect();
    assert_eq!(numbers, (1..=12).collect::<Vec<u32>>());
    let container = open_all(&file(&fields(Metric::Cosine, 3, 2), &sections)).unwrap();
    for kind in [
        VECTORS,
        BYTE_FACTORS,
        BYTE_ERRORS,
        CENTROIDS,
        LIST_FACTORS,
        LIST_OFFSETS,
    ] {
        let section = container.required(kind, 6).unwrap();
        assert_eq!(section.all().unwrap(), floats);
    }
    for kind in [BYTE_CODES, LIST_CODES] {
        assert_eq!(container.required(kind, 5).unwrap().all().unwrap(), bytes);
    }
    for kind in [LIST_LENGTHS, LIST_ROWS] {
        assert_eq!(container.required(kind, 3).unwrap().all().unwrap(), words);
    }
    for kind in [IDS, TUNING] {
        assert_eq!(container.required(kind, 2).unwrap().all().unwrap(), longs);
    }
}

#[test]
fn a_section_that_is_missing_or_of_another_length_is_named() {
    let container = open_bytes(&Sample::new().file()).unwrap();
    let missing = container.required(CENTROIDS, 0).unwrap_err();
    assert!(
        matches!(
            missing,
            Error::MissingSection {
                part: "centroids",
                ..
            }
        ),
        "{missing}"
    );
    for length in [0, 16, 18, u64::MAX] {
        assert!(is_damaged(container.required(IDS, length), "ids"));
    }
}

#[test]
fn ranges_outside_a_section_are_errors() {
    let container = open_bytes(&Sample::new().file()).unwrap();
    let ids = container.section(IDS).unwrap();
    for (start, end) in [
        (0, 18),
        (17, 18),
        (18, 18),
        (3, 2),
        (0, usize::MAX),
        (usize::MAX, 1),
    ] {
        assert!(is_damaged(ids.checked(start..end), "ids"), "{start}..{end}");
    }
    for at in 0..=17 {
        assert_eq!(ids.checked(at..at).unwrap(), []);
    }
}

#[test]
fn sections_outlive_the_container_and_are_shared_by_threads() {
    fn shareable<T: Send + Sync + Clone + 'static>(_: &T) {}
    let sample = Arc::new(Sample::new());
    let vectors = open_bytes(&sample.file())
        .unwrap()
        .section(VECTORS)
        .unwrap();
    shareable(&vectors);
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (vectors, sample) = (vectors.clone(), Arc::clone(&sample));
            std::thread::spawn(move || {
                for start in 0..48 {
                    let range = start..start + thread;
                    assert_eq!(
                        vectors.checked(range.clone()).unwrap(),
                        &sample.vectors[range]
                    );
                }
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

#[test]
fn version_1_has_two_sections_of_one_block() {
    let mut file = file_of_version_1();
    let container = open_all(&file).unwrap();
    assert_eq!(
        *container.fields(),
        Fields {
            kind: 1,
            metric: Metric::L2,
            dimension: 3,
            count: 5,
            revision: 7
        }
    );
    let ids = container.required(IDS, 5).unwrap();
    assert_eq!(ids.checked(1..3).unwrap(), [u64::MAX, 0]);
    let vectors = container.required(VECTORS, 15).unwrap();
    assert_eq!(vectors.checked(5..7).unwrap(), [0.25, 0.5]);
    assert!(container.section(TUNING).is_none());
    *file.last_mut().unwrap() ^= 1;
    let container = open_bytes(&file).unwrap();
    assert_eq!(container.section(IDS).unwrap().all().unwrap().len(), 5);
    let vectors = container.section(VECTORS).unwrap();
    assert!(is_damaged(vectors.checked(0..1), "vectors"));
}

/// Numbers cut into parts at random places.
fn parts(numbers: &[f32], mut cuts: Vec<usize>) -> Vec<&[f32]> {
    cuts.iter_mut().for_each(|cut| *cut %= numbers.len() + 1);
    cuts.extend([0, numbers.len()]);
    cuts.sort_unstable();
    cuts.windows(2)
        .map(|cut| &numbers[cut[0]..cut[1]])
        .collect()
}

proptest! {
    #[test]
    fn any_sections_are_read_as_they_were_written(
        ids in prop::collection::vec(any::<u64>(), 0..200),
        vectors in prop::collection::vec(-1e9f32..1e9, 0..900),
        codes in prop::collection::vec(any::<u8>(), 0..500),
        rows in prop::collection::vec(any::<u32>(), 0..300),
        power in 6u32..14,
    ) {
        let sample = Sample { ids, vectors, codes, rows };
        let file = file(&sample.fields(), &sample.sources(1 << power));
        let container = open_all(&file).unwrap();
        prop_assert_eq!(Sample::read(&container).unwrap(), sample);
        prop_assert_eq!(rewritten(&file).unwrap(), file);
    }

    #[test]
    fn how_a_section_is_cut_into_parts_leaves_no_trace(
        count in 0usize..500,
        cuts in prop::collection::vec(any::<usize>(), 0..20),
        power in 6u32..10,
    ) {
        let numbers: Vec<f32> = (0..count).map(|i| i as f32).collect();
        let written = |parts: Vec<&[f32]>| {
            let mut source = SectionSource::new(VECTORS, parts);
            source.block_size = 1 << power;
            file(&fields(Metric::L2, 1, count as u64), &[source])
        };
        prop_assert_eq!(written(parts(&numbers, cuts)), written(vec![&numbers]));
    }

    /// A range is refused exactly if it shares a block with the changed byte, in whatever order
    /// ranges are asked for and however often.
    #[test]
    fn a_changed_byte_spoils_its_block_and_no_other(
        count in 1usize..400,
        at in any::<usize>(),
        ranges in prop::collection::vec((0usize..400, 0usize..400), 1..12),
    ) {
        const BLOCK: usize = 64 / size_of::<f32>();
        let numbers: Vec<f32> = (0..count).map(|i| i as f32).collect();
        let mut source = SectionSource::new(VECTORS, [&numbers[..]]);
        source.block_size = 64;
        let mut file = file(&fields(Metric::L2, 1, count as u64), &[source]);
        let at = at % (4 * count);
        file[128 + at] ^= 0x10;
        let bad = at / 64;
        let vectors = open_bytes(&file).unwrap().section(VECTORS).unwrap();
        for (start, end) in ranges {
            let start = start.min(count);
            let range = start..end.clamp(start, count);
            let touches = !range.is_empty()
                && (range.start / BLOCK..range.end.div_ceil(BLOCK)).contains(&bad);
            match vectors.checked(range.clone()) {
                Ok(read) => prop_assert!(!touches && read == &numbers[range]),
                error => prop_assert!(touches && is_damaged(error, "vectors")),
            }
        }
        prop_assert!(is_damaged(vectors.all(), "vectors"));
    }
}
