//! How fast does this machine search? 200,000 clustered vectors of 384 components: one query at a
//! time, a hundred at once, and as many callers at once as there are processors.
//!
//! Run with `cargo run --release -p longtrainer-index --example scan`, and with the environment
//! variable `LONGTRAINER_ISA` for a lower instruction set. Data are random with a fixed seed; the best
//! and the median of several runs are given.

use std::error::Error;
use std::io::{self, Write};
use std::thread;
use std::time::Instant;

use longtrainer_index::{FlatIndex, IvfIndex, IvfOptions, Metric, Result, Scan, VectorIndex};
use longtrainer_kernels::default_threads;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const ROWS: usize = 200_000;
const DIMENSION: usize = 384;
const CLUSTERS: usize = 2_000;
const QUERIES: usize = 100;
const K: usize = 10;

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let mut out = io::stdout();
    let selection = longtrainer_kernels::isa_selection();
    writeln!(
        out,
        "instruction set {}, detected {}, {} processors",
        selection.active,
        selection.detected,
        default_threads()
    )?;
    if let Some(problem) = &selection.problem {
        writeln!(out, "{problem}")?;
    }
    let mut rng = StdRng::seed_from_u64(1);
    let middles = random(&mut rng, CLUSTERS * DIMENSION, 1.0);
    let vectors = clustered(&mut rng, &middles, ROWS);
    let queries = clustered(&mut rng, &middles, QUERIES);
    for (name, index) in indexes(&vectors)? {
        measure(&mut out, name, &*index, &queries)?;
    }
    Ok(())
}

fn indexes(vectors: &[f32]) -> Result<[(&'static str, Box<dyn VectorIndex>); 3]> {
    let ids: Vec<u64> = (0..ROWS as u64).collect();
    let metric = Metric::Cosine;
    let plain = FlatIndex::new(DIMENSION, metric)?;
    let coded = FlatIndex::with_scan(DIMENSION, metric, Scan::Bytes)?;
    let lists = IvfIndex::new(DIMENSION, metric, IvfOptions::default())?;
    plain.upsert(&ids, vectors)?;
    coded.upsert(&ids, vectors)?;
    lists.upsert(&ids, vectors)?;
    lists.train()?;
    Ok([
        ("exact, vectors", Box::new(plain)),
        ("exact, bytes first", Box::new(coded)),
        ("lists, recall 0.95", Box::new(lists)),
    ])
}

fn measure(
    out: &mut impl Write,
    name: &str,
    index: &dyn VectorIndex,
    queries: &[f32],
) -> std::result::Result<(), Box<dyn Error>> {
    let each = || {
        queries
            .chunks(DIMENSION)
            .try_for_each(|query| index.search(query, K).map(drop))
    };
    let (best, median) = seconds(3, each)?;
    let count = QUERIES as f64;
    writeln!(
        out,
        "{name}: one at a time {:.0} queries/s (median {:.0})",
        count / best,
        count / median
    )?;
    let (best, median) = seconds(5, || index.search_batch(queries, K).map(drop))?;
    writeln!(
        out,
        "{name}: {QUERIES} at once {:.0} queries/s (median {:.0})",
        count / best,
        count / median
    )?;
    let callers = default_threads();
    let (best, median) = seconds(3, || together(callers, each))?;
    let count = count * callers as f64;
    writeln!(
        out,
        "{name}: {callers} callers at once {:.0} queries/s (median {:.0})",
        count / best,
        count / median
    )?;
    Ok(())
}

/// The same work by several callers at once.
fn together(callers: usize, work: impl Fn() -> Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        let callers: Vec<_> = (0..callers).map(|_| scope.spawn(&work)).collect();
        callers.into_iter().try_for_each(|caller| {
            caller
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}

fn clustered(rng: &mut StdRng, middles: &[f32], count: usize) -> Vec<f32> {
    let mut vectors = Vec::with_capacity(count * DIMENSION);
    for _ in 0..count {
        let middle = rng.random_range(0..CLUSTERS) * DIMENSION;
        let noise = random(rng, DIMENSION, 0.8);
        let middle = &middles[middle..middle + DIMENSION];
        vectors.extend(
            middle
                .iter()
                .zip(noise)
                .map(|(middle, noise)| middle + noise),
        );
    }
    vectors
}

fn random(rng: &mut StdRng, length: usize, size: f32) -> Vec<f32> {
    (0..length).map(|_| rng.random_range(-size..size)).collect()
}

/// The best and the median time of some runs, after one to warm up.
fn seconds<E>(
    runs: usize,
    mut work: impl FnMut() -> std::result::Result<(), E>,
) -> std::result::Result<(f64, f64), E> {
    work()?;
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok((times[0], times[runs / 2]))
}
