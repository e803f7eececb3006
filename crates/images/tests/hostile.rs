//! Files of every format with bytes changed, cut out and put in: no panic, no hang, no memory beyond the
//! limits, and every error has the picture's name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{names, picture};
use longtrainer_images::{Error, Limits, Picture};
use proptest::prelude::*;
use proptest::sample::{Index, select};

const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    pixels: 1 << 20,
    side: 1 << 14,
    memory: 8 << 20,
};

/// One way to spoil a file.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Flip(Index, u8),
    Ones(Index),
    CutOut(Index, usize),
    PutIn(Index, Vec<u8>),
    End(Index),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Self::Set(at, value) => bytes[at.index(length)] = *value,
            Self::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Self::Ones(at) => {
                let at = at.index(length);
                let end = (at + 4).min(length);
                bytes[at..end].fill(0xff);
            }
            Self::CutOut(at, count) => {
                let at = at.index(length);
                bytes.drain(at..(at + count).min(length));
            }
            Self::PutIn(at, new) => {
                let at = at.index(length);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::End(at) => bytes.truncate(at.index(length)),
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, value)| Change::Set(at, value)),
        (at(), 0..8u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        at().prop_map(Change::Ones),
        (at(), 1..40usize).prop_map(|(at, count)| Change::CutOut(at, count)),
        (at(), prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, new)| Change::PutIn(at, new)),
        at().prop_map(Change::End),
    ]
}

/// The most memory that this process ever had, in bytes, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes << 10)
}

/// Whether the decoder panicked behind the guard.
fn panicked(error: &Error) -> bool {
    matches!(error, Error::Malformed { source, .. } if source.to_string().contains("panicked"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spoilt_files_are_pictures_or_errors(
        name in select(names()),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let before = peak_memory();
        let mut bytes = picture(&name).bytes().to_vec();
        changes.iter().for_each(|change| change.apply(&mut bytes));
        let spoilt = Picture::new(name.as_str(), bytes);

        let start = Instant::now();
        let size = spoilt.dimensions(&LIMITS);
        let image = spoilt.decode(&LIMITS);
        prop_assert!(start.elapsed() < Duration::from_secs(5));

        for error in [size.as_ref().err(), image.as_ref().err()].into_iter().flatten() {
            prop_assert!(!panicked(error), "{error:?}");
            prop_assert!(error.to_string().contains(&name), "{error}");
        }
        if let (Ok(size), Ok(image)) = (size, image) {
            prop_assert_eq!(size, (image.width(), image.height()));
        }
        if let (Some(before), Some(after)) = (before, peak_memory()) {
            // As much again as the limit, for the picture itself and the allocator.
            prop_assert!(after - before <= 2 * LIMITS.memory, "{} bytes", after - before);
        }
    }
}
