//! What a file may look like after an accident or in bad hands: an error, never a wrong answer.

use std::io::{self, Write};
use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use xxhash_rust::xxh3::xxh3_64;

use super::*;
use crate::{Error, Result};

fn contents() -> Contents<'static> {
    let ids = vec![3, u64::MAX, 0, 17, 40];
    let vectors = (0..15).map(|i| i as f32 / 4.0 - 1.0).collect();
    Contents {
        metric: Metric::L2,
        dimension: 3,
        revision: 0x0123_4567_89ab_cdef,
        ids: Cow::Owned(ids),
        vectors: Cow::Owned(vectors),
    }
}

fn bytes() -> Vec<u8> {
    let mut bytes = Vec::new();
    writer::write(&mut bytes, &contents()).unwrap();
    bytes
}

fn read(bytes: &[u8]) -> Result<Contents<'static>> {
    reader::read(bytes, bytes.len() as u64, Path::new("some.index"))
}

/// Makes the header's checksums fit its fields again, as an attacker would.
fn reseal(bytes: &mut [u8]) {
    let preamble = xxh3_64(&bytes[..12]) as u32;
    bytes[12..16].copy_from_slice(&preamble.to_le_bytes());
    let header = xxh3_64(&bytes[..56]);
    bytes[56..64].copy_from_slice(&header.to_le_bytes());
}

fn assert_unusable(bytes: &[u8], what: &str) {
    match read(bytes) {
        Ok(_) => panic!("{what}: read without an error"),
        Err(error) => assert!(error.to_string().contains("some.index"), "{what}: {error}"),
    }
}

#[test]
fn what_was_written_is_read() {
    assert_eq!(bytes().len(), 64 + 64 + 15 * 4);
    assert_eq!(read(&bytes()).unwrap(), contents());
    for metric in [Metric::InnerProduct, Metric::Cosine] {
        let empty = Contents {
            metric,
            ids: Cow::Owned(Vec::new()),
            vectors: Cow::Owned(Vec::new()),
            ..contents()
        };
        let mut bytes = Vec::new();
        writer::write(&mut bytes, &empty).unwrap();
        assert_eq!(read(&bytes).unwrap(), empty);
    }
}

#[test]
fn more_than_one_buffer_is_written_and_read() {
    let large = Contents {
        dimension: 7,
        ids: (0..20_001).collect(),
        vectors: (0..7 * 20_001).map(|i| i as f32).collect(),
        ..contents()
    };
    let mut bytes = Vec::new();
    writer::write(&mut bytes, &large).unwrap();
    assert!(read(&bytes).unwrap() == large);
}

#[test]
fn every_changed_byte_is_noticed() {
    let whole = bytes();
    for at in 0..whole.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= change;
            assert_unusable(&changed, &format!("byte {at} ^ {change:#x}"));
        }
    }
}

#[test]
fn every_cut_is_noticed_and_named() {
    let whole = bytes();
    for length in 0..whole.len() {
        let error = read(&whole[..length]).unwrap_err();
        let Error::Truncated {
            expected, received, ..
        } = error
        else {
            panic!("{length} bytes: {error}");
        };
        assert_eq!(received, length as u64);
        assert_eq!(expected, if length < 64 { 64 } else { whole.len() as u64 });
    }
}

#[test]
fn bytes_after_the_end_are_noticed() {
    let mut longer = bytes();
    longer.push(0);
    assert!(matches!(
        read(&longer),
        Err(Error::TrailingBytes {
            expected: 188,
            received: 189,
            ..
        })
    ));
}

#[test]
fn foreign_files_are_no_index() {
    for foreign in [
        &b"{}"[..],
        b"LTvectar",
        b"PK\x03\x04",
        &[0; 500],
        &[0xff; 64],
    ] {
        assert!(
            matches!(read(foreign), Err(Error::NotAnIndex { .. })),
            "{foreign:?}"
        );
    }
}

#[test]
fn a_newer_version_is_named_and_not_called_damaged() {
    let mut newer = bytes();
    newer[8] = 2;
    reseal(&mut newer);
    newer[40] ^= 1;
    assert!(matches!(
        read(&newer),
        Err(Error::FormatVersion {
            found: 2,
            supported: 1,
            ..
        })
    ));
}

#[test]
fn sealed_nonsense_takes_no_memory_and_gives_no_index() {
    let with = |at: usize, field: &[u8]| {
        let mut bytes = bytes();
        bytes[at..at + field.len()].copy_from_slice(field);
        reseal(&mut bytes);
        read(&bytes).unwrap_err()
    };
    let header = |error| matches!(error, Error::Damaged { part: "header", .. });
    assert!(header(with(16, &[9, 0])), "kind");
    assert!(header(with(18, &[0, 0])), "metric");
    assert!(header(with(18, &[4, 0])), "metric");
    assert!(header(with(20, &[0; 4])), "dimension");
    assert!(header(with(24, &[0xff; 8])), "count beyond every file");
    let huge = with(24, &(1u64 << 40).to_le_bytes());
    assert!(matches!(huge, Error::Truncated { .. }), "{huge}");
    let wide = with(20, &[0xff; 4]);
    assert!(matches!(wide, Error::Truncated { .. }), "{wide}");
    let fewer = with(24, &4u64.to_le_bytes());
    assert!(matches!(fewer, Error::TrailingBytes { .. }), "{fewer}");
}

#[test]
fn sealed_duplicates_and_infinities_are_refused() {
    let refused = |contents: Contents<'_>, part: &str| {
        let mut bytes = Vec::new();
        writer::write(&mut bytes, &contents).unwrap();
        let error = read(&bytes).unwrap_err();
        assert!(
            matches!(&error, Error::Damaged { part: found, .. } if *found == part),
            "{error}"
        );
    };
    refused(
        Contents {
            ids: Cow::Owned(vec![1, 2, 3, 2, 4]),
            ..contents()
        },
        "ids",
    );
    let mut vectors = contents().vectors.into_owned();
    vectors[7] = f32::NAN;
    refused(
        Contents {
            vectors: Cow::Owned(vectors),
            ..contents()
        },
        "vectors",
    );
}

/// Random bytes, then a sound file with random fields under fitting checksums.
#[test]
fn random_bytes_never_panic_and_never_open() {
    let mut rng = StdRng::seed_from_u64(11);
    let whole = bytes();
    for round in 0..100_000 {
        let mut input = vec![0; rng.random_range(0..256)];
        rng.fill_bytes(&mut input);
        if round % 2 == 1 {
            let random = std::mem::replace(&mut input, whole.clone());
            let at = rng.random_range(16..56);
            let count = random.len().min(rng.random_range(1..=56 - at));
            input[at..at + count].copy_from_slice(&random[..count]);
            reseal(&mut input);
        }
        if let Ok(read) = read(&input) {
            // Only the revision and the metric may be anything.
            let Contents {
                metric, revision, ..
            } = read;
            assert_eq!(
                read,
                Contents {
                    metric,
                    revision,
                    ..contents()
                }
            );
        }
    }
}

/// A disk that is full after some bytes.
struct FullAfter(usize);

impl Write for FullAfter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.min(bytes.len()) {
            0 => Err(io::ErrorKind::StorageFull.into()),
            taken => {
                self.0 -= taken;
                Ok(taken)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_noticed_at_every_byte() {
    let length = bytes().len();
    for room in 0..length {
        let error = writer::write(&mut FullAfter(room), &contents()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{room}");
    }
    writer::write(&mut FullAfter(length), &contents()).unwrap();
}
