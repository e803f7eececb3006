//! What opening and first touches cost, for several block sizes. Run by hand:
//!
//! `cargo test --release -p longtrainer-index file::tests::measure -- --ignored --nocapture`

use std::fs::File;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::support::fields;
use crate::Metric;
use crate::file::*;

const VECTORS_IN_FILE: usize = 200_000;
const DIMENSION: usize = 384;
/// Vectors that a search reads in full.
const READ: usize = 200;
const ROUNDS: usize = 5;

/// Where the file is when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    InMemory,
    OnDisk,
}

#[test]
#[ignore = "a measurement"]
fn block_sizes() {
    let mut rng = StdRng::seed_from_u64(1);
    let ids: Vec<u64> = (0..VECTORS_IN_FILE as u64).collect();
    let vectors: Vec<f32> = (0..VECTORS_IN_FILE * DIMENSION)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    println!("times in ms      open   {READ} first (with prefetch)    again  all first");
    for block_size in [4, 16, 64].map(|kib| kib * 1024) {
        let mut sections = [
            SectionSource::new(IDS, [&ids[..]]),
            SectionSource::new(VECTORS, [&vectors[..]]),
        ];
        for section in &mut sections {
            section.block_size = block_size;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("an.index");
        let fields = fields(Metric::L2, DIMENSION as u32, VECTORS_IN_FILE as u64);
        write::write(&mut File::create(&path).unwrap(), &fields, &sections).unwrap();
        for state in [State::InMemory, State::OnDisk] {
            let [open, first, again, all] = medians(&path, state, false, &mut rng);
            let [_, prefetched, ..] = medians(&path, state, true, &mut rng);
            println!(
                "{:2} KiB {state:8?} {open:7.3} {first:9.3} {prefetched:15.3} {again:8.3} {all:10.1}",
                block_size / 1024
            );
        }
    }
}

/// Milliseconds to open, to touch some vectors first and again, and to read everything.
fn medians(path: &Path, state: State, prefetch: bool, rng: &mut StdRng) -> [f64; 4] {
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..ROUNDS {
        if state == State::OnDisk {
            evict(path);
        }
        let rows: Vec<usize> = (0..READ)
            .map(|_| rng.random_range(0..VECTORS_IN_FILE))
            .collect();
        let start = Instant::now();
        let section = Container::open(path).unwrap().section(VECTORS).unwrap();
        times[0].push(start.elapsed());
        for step in [1, 2] {
            let start = Instant::now();
            if prefetch {
                rows.iter().for_each(|&row| section.prefetch(of_row(row)));
            }
            for &row in &rows {
                black_box(section.checked(of_row(row)).unwrap()[DIMENSION - 1]);
            }
            times[step].push(start.elapsed());
        }
        let start = Instant::now();
        black_box(section.all().unwrap());
        times[3].push(start.elapsed());
    }
    times.map(|mut times| {
        times.sort();
        times[ROUNDS / 2].as_secs_f64() * 1e3
    })
}

fn of_row(row: usize) -> std::ops::Range<usize> {
    row * DIMENSION..(row + 1) * DIMENSION
}

/// Has the system forget a file's pages; needs `dd` of GNU.
fn evict(path: &Path) {
    let status = Command::new("dd")
        .arg(format!("of={}", path.display()))
        .args(["oflag=nocache", "conv=notrunc,fdatasync", "count=0"])
        .arg("status=none")
        .status();
    assert!(status.unwrap().success());
}
