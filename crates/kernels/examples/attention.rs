//! Times attention on the tier in use, for SmolLM2-135M's heads (9, 3 of keys, of 64) and MiniLM's
//! (12 of 32): `LONGTRAINER_ISA=avx2 cargo run --release --example attention -- 1` runs the AVX2
//! tier on one thread.
//!
//! Floating-point operations are those that the causal mask leaves: 4 for each component of each pair
//! of query and key. Times are the least of several runs.

#![allow(clippy::print_stdout, missing_docs)]

use std::error::Error;
use std::time::Instant;

use longtrainer_kernels::{
    CacheShape, CacheStep, CausalAttention, Isa, KeyValueCache, PagePool, Rows, Sequence, Team,
    causal_attention, default_threads, segment_attention,
};

const HEADS: usize = 9;
const KV_HEADS: usize = 3;
const DIM: usize = 64;
const STRIDE: usize = (HEADS + 2 * KV_HEADS) * DIM;

fn main() -> Result<(), Box<dyn Error>> {
    let threads = std::env::args()
        .nth(1)
        .map(|count| count.parse())
        .transpose()?;
    let team = Team::new(threads.unwrap_or_else(default_threads))?;
    println!("{}, {} threads", Isa::active(), team.threads());
    for tokens in [64, 512, 2048] {
        prefill(&team, tokens)?;
    }
    for length in [64, 512, 2048, 8192] {
        decode(&team, length)?;
    }
    for (texts, length) in [(4, 64), (16, 64), (16, 512)] {
        batch(&team, texts, length)?;
    }
    for (texts, length) in [(1, 16), (1, 128), (1, 512), (8, 128), (32, 128)] {
        segments(&team, texts, length)?;
    }
    Ok(())
}

/// Numbers without a pattern, in -1 .. 1.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// The least time of a call, in seconds.
fn least(mut call: impl FnMut() -> longtrainer_kernels::Result<()>) -> Result<f64, Box<dyn Error>> {
    let (begin, mut least) = (Instant::now(), f64::INFINITY);
    while begin.elapsed().as_millis() < 400 {
        let start = Instant::now();
        call()?;
        least = least.min(start.elapsed().as_secs_f64());
    }
    Ok(least)
}

const ATTENTION: CausalAttention = CausalAttention {
    layer: 0,
    heads: HEADS,
    scale: 0.125,
    window: None,
};

fn empty() -> KeyValueCache {
    KeyValueCache::new(&PagePool::new(CacheShape {
        layers: 1,
        kv_heads: KV_HEADS,
        head_dim: DIM,
    }))
}

/// A step that has read all tokens.
fn filled<'cache>(
    cache: &'cache mut KeyValueCache,
    qkv: &[f32],
) -> longtrainer_kernels::Result<CacheStep<'cache>> {
    let mut step = cache.begin(qkv.len() / STRIDE);
    step.extend(
        0,
        Rows::new(qkv, STRIDE, HEADS * DIM, KV_HEADS * DIM)?,
        Rows::new(qkv, STRIDE, (HEADS + KV_HEADS) * DIM, KV_HEADS * DIM)?,
    )?;
    Ok(step)
}

fn prefill(team: &Team, tokens: usize) -> Result<(), Box<dyn Error>> {
    let qkv = noise(tokens * STRIDE);
    let mut cache = empty();
    let step = filled(&mut cache, &qkv)?;
    let sequence = Sequence {
        step: &step,
        tokens,
    };
    let queries = Rows::new(&qkv, STRIDE, 0, HEADS * DIM)?;
    let mut out = vec![0.0; tokens * HEADS * DIM];
    let time = least(|| causal_attention(team, ATTENTION, queries, &[sequence], &mut out))?;
    let mut cache = empty();
    let extend = least(|| filled(&mut cache, &qkv).map(|_| ()))?;
    let operations = (4 * HEADS * DIM * tokens * (tokens + 1) / 2) as f64;
    println!(
        "prefill of {tokens}: {:.0} us, {:.0} GFLOP/s; extending the cache: {:.0} us",
        time * 1e6,
        operations / time / 1e9,
        extend * 1e6
    );
    Ok(())
}

fn decode(team: &Team, length: usize) -> Result<(), Box<dyn Error>> {
    let qkv = noise(length * STRIDE);
    let mut cache = empty();
    let step = filled(&mut cache, &qkv)?;
    for tokens in [1, 2, 8] {
        let sequence = Sequence {
            step: &step,
            tokens,
        };
        let queries = Rows::new(&qkv[..tokens * STRIDE], STRIDE, 0, HEADS * DIM)?;
        let mut out = vec![0.0; tokens * HEADS * DIM];
        let time = least(|| causal_attention(team, ATTENTION, queries, &[sequence], &mut out))?;
        let bytes = (length * KV_HEADS * DIM * 4) as f64;
        println!(
            "{tokens} tokens after {length}: {:.1} us, {:.1} GB/s of cache",
            time * 1e6,
            bytes / time / 1e9
        );
    }
    Ok(())
}

/// A token of each of some texts, in one call and in a call each.
fn batch(team: &Team, texts: usize, length: usize) -> Result<(), Box<dyn Error>> {
    let qkv = noise(length * STRIDE);
    let mut caches: Vec<_> = (0..texts).map(|_| empty()).collect();
    let steps = caches.iter_mut().map(|cache| filled(cache, &qkv));
    let steps = steps.collect::<longtrainer_kernels::Result<Vec<_>>>()?;
    let sequence = |step| Sequence { step, tokens: 1 };
    let sequences: Vec<_> = steps.iter().map(sequence).collect();
    let queries = Rows::new(&qkv[..texts * STRIDE], STRIDE, 0, HEADS * DIM)?;
    let mut out = vec![0.0; texts * HEADS * DIM];
    let together = least(|| causal_attention(team, ATTENTION, queries, &sequences, &mut out))?;
    let apart = least(|| {
        let outs = out.chunks_exact_mut(HEADS * DIM);
        for ((number, sequence), out) in sequences.iter().enumerate().zip(outs) {
            let queries = queries.part(number, 1)?;
            causal_attention(team, ATTENTION, queries, &[*sequence], out)?;
        }
        Ok(())
    })?;
    println!(
        "a token of {texts} texts of {length}: {:.1} us, {:.1} us in a call each",
        together * 1e6,
        apart * 1e6
    );
    Ok(())
}

fn segments(team: &Team, texts: usize, length: usize) -> Result<(), Box<dyn Error>> {
    let (heads, dim) = (12, 32);
    let qkv = noise(texts * length * 3 * heads * dim);
    let mut out = vec![0.0; texts * length * heads * dim];
    let lengths = vec![length; texts];
    let time = least(|| segment_attention(team, &qkv, heads, dim, &lengths, 0.17, &mut out))?;
    let operations = (4 * texts * length * length * heads * dim) as f64;
    println!(
        "{texts} texts of {length}: {:.1} us, {:.0} GFLOP/s",
        time * 1e6,
        operations / time / 1e9
    );
    Ok(())
}
