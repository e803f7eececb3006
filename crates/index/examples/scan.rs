//! How fast does this machine scan? 200,000 vectors of 384 components, one query and a hundred.
//!
//! Run with `cargo run --release -p longtrainer-index --example scan`, and with the environment
//! variable `LONGTRAINER_ISA` for a lower instruction set, `RAYON_NUM_THREADS` for fewer threads.
//! Data are random with a fixed seed; the best and the median of several runs are given.

use std::error::Error;
use std::io::{self, Write};
use std::time::Instant;

use longtrainer_index::{FlatIndex, Metric, VectorIndex};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const ROWS: usize = 200_000;
const DIMENSION: usize = 384;
const QUERIES: usize = 100;
const K: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout();
    let selection = longtrainer_kernels::isa_selection();
    writeln!(
        out,
        "instruction set {}, detected {}",
        selection.active, selection.detected
    )?;
    if let Some(problem) = &selection.problem {
        writeln!(out, "{problem}")?;
    }
    let mut rng = StdRng::seed_from_u64(1);
    let queries = random(&mut rng, QUERIES * DIMENSION);
    for metric in [Metric::InnerProduct, Metric::L2] {
        let index = filled(&mut rng, metric)?;
        let (best, median) = seconds(15, || index.search(&queries[..DIMENSION], K).map(drop))?;
        let gigabytes = (ROWS * DIMENSION * size_of::<f32>()) as f64 / 1e9;
        writeln!(
            out,
            "{metric:?}: one query {:.1} ms (median {:.1}), {:.1} GB/s",
            best * 1e3,
            median * 1e3,
            gigabytes / best
        )?;
        let (best, median) = seconds(5, || index.search_batch(&queries, K).map(drop))?;
        writeln!(
            out,
            "{metric:?}: {QUERIES} queries {:.0} ms (median {:.0}), {:.0} million pairs/s",
            best * 1e3,
            median * 1e3,
            (ROWS * QUERIES) as f64 / best / 1e6
        )?;
    }
    Ok(())
}

fn filled(rng: &mut StdRng, metric: Metric) -> longtrainer_index::Result<FlatIndex> {
    let ids: Vec<u64> = (0..ROWS as u64).collect();
    let index = FlatIndex::new(DIMENSION, metric)?;
    index.upsert(&ids, &random(rng, ROWS * DIMENSION))?;
    Ok(index)
}

fn random(rng: &mut StdRng, length: usize) -> Vec<f32> {
    (0..length).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// The best and the median time of some runs, after one to warm up.
fn seconds<E>(runs: usize, mut work: impl FnMut() -> Result<(), E>) -> Result<(f64, f64), E> {
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
