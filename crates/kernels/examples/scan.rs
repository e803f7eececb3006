//! Times scans of codes: `cargo run --release -p longtrainer-kernels --example scan`. Prints, for 384
//! components and one thread, rows and bytes of codes a second, beside what the machine could do: for
//! codes in a core's own cache, for codes in memory, and for many queries. `LONGTRAINER_ISA` chooses
//! the instructions.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Instant;

use longtrainer_kernels::{
    BitQuery, BitScan, ByteQueries, ByteScan, Rotation, RowIds, Shortlist, Team, bit_block_len,
    byte_tile_len, encode_bits, encode_bytes, integer_rate, isa_selection, nearest_bytes,
    read_bandwidth,
};

const DIMENSION: usize = 384;
/// Rows of which the byte codes, and the bit codes, are half a core's own cache.
const FEW_BYTES: usize = 1024;
const FEW_BITS: usize = 8 << 10;
/// Rows of which the byte codes are 200 MB, or the bit codes.
const MANY_BYTES: usize = 512 << 10;
const MANY_BITS: usize = 4 << 20;
/// Codes in memory are read in so many parts, each timed by itself.
const PARTS: usize = 16;
const K: usize = 10;

fn main() {
    let team = Team::alone();
    let best = |rate: fn(&Team) -> f64| (0..4).map(|_| rate(&team)).fold(0.0, f64::max);
    let bandwidth = best(read_bandwidth);
    let products = best(integer_rate) / 2.0;
    println!(
        "isa {}, one thread, {DIMENSION} components; reads {:.1} GB/s, {:.0} G products of bytes/s",
        isa_selection().active,
        bandwidth / 1e9,
        products / 1e9
    );
    let bytes = Bytes::new(MANY_BYTES);
    bytes.one_query("1 query, cache", FEW_BYTES, bandwidth);
    bytes.one_query("1 query, list of 160", 160, bandwidth);
    bytes.in_memory(bandwidth);
    bytes.many_queries(12, 1 << 10, Some(1e3), products);
    bytes.many_queries(1000, 1 << 10, Some(1e3), products);
    bytes.many_queries(1000, 16 << 10, None, products);
    bytes.nearest(1000, 1 << 10, products);
    let bits = Bits::new(MANY_BITS);
    bits.one_query("cache", FEW_BITS, bandwidth);
    bits.one_query("list of 160", 160, bandwidth);
    bits.one_query("list of 50", 50, bandwidth);
    bits.in_memory(bandwidth);
    preparation();
}

/// Numbers that look random and are spread evenly over -1 to 1.
fn numbers(length: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..length).map(|_| next()).collect()
}

/// Seconds of one call, which is told its number: the least of many runs. They are short, so that on
/// a machine with other work some run undisturbed.
fn time(mut call: impl FnMut(usize)) -> f64 {
    let mut calls = 1;
    let mut number = 0;
    let mut least = f64::INFINITY;
    let mut runs = 0;
    let begun = Instant::now();
    while runs < 300 && begun.elapsed().as_secs() < 2 {
        let start = Instant::now();
        for _ in 0..calls {
            call(number);
            number += 1;
        }
        let seconds = start.elapsed().as_secs_f64();
        if seconds < 2e-4 {
            calls *= 2;
            continue;
        }
        least = least.min(seconds / calls as f64);
        runs += 1;
    }
    least
}

/// Bytes that begin on a cache line, as in a file.
fn on_a_line(length: usize) -> (Vec<u8>, usize) {
    let bytes = vec![0; length + 64];
    let start = bytes.as_ptr().align_offset(64);
    (bytes, start)
}

struct Bytes {
    codes: (Vec<u8>, usize),
    scales: Vec<f32>,
}

impl Bytes {
    fn new(count: usize) -> Self {
        let tile = byte_tile_len(DIMENSION);
        let mut codes = on_a_line(count / 16 * tile);
        let mut scales = vec![0.0; count];
        let mut errors = vec![0.0; count];
        let rows = numbers(4096 * DIMENSION, 1);
        let to = codes.0[codes.1..].chunks_exact_mut(4096 / 16 * tile);
        for (to, scales) in to.zip(scales.chunks_exact_mut(4096)) {
            encode_bytes(&rows, DIMENSION, to, scales, &mut errors[..4096]).unwrap();
        }
        Self { codes, scales }
    }

    fn scan<'a>(&'a self, queries: &'a ByteQueries, first: usize, count: usize) -> ByteScan<'a> {
        let tile = byte_tile_len(DIMENSION);
        let codes = &self.codes.0[self.codes.1 + first / 16 * tile..];
        ByteScan {
            queries,
            range: 0..queries.len(),
            codes: &codes[..count.div_ceil(16) * tile],
            count,
            factors: &self.scales[first..first + count],
            offsets: None,
            slacks: None,
            bases: &[],
            gain: 1.0,
            slack: &[],
            rows: RowIds::First(0),
            accept: None,
        }
    }

    fn one_query(&self, what: &str, count: usize, bandwidth: f64) {
        let queries = ByteQueries::new(&numbers(DIMENSION, 7), DIMENSION).unwrap();
        let scan = self.scan(&queries, 0, count);
        let mut shortlist = [with_bar(1e3)];
        let seconds = time(|_| scan.run(&mut shortlist).unwrap());
        let what = format!("bytes, {what}");
        report(&what, count, scan.codes.len(), seconds, bandwidth);
    }

    fn in_memory(&self, bandwidth: f64) {
        let queries = ByteQueries::new(&numbers(DIMENSION, 7), DIMENSION).unwrap();
        let mut shortlist = [with_bar(1e3)];
        let count = self.scales.len() / PARTS;
        let seconds = time(|number| {
            let scan = self.scan(&queries, number % PARTS * count, count);
            scan.run(&mut shortlist).unwrap();
        });
        let bytes = count / 16 * byte_tile_len(DIMENSION);
        report("bytes, 1 query, memory", count, bytes, seconds, bandwidth);
    }

    /// With bars that hardly a row reaches, or from empty shortlists on.
    fn many_queries(&self, query_count: usize, count: usize, bar: Option<f32>, products: f64) {
        let queries = numbers(query_count * DIMENSION, 7);
        let queries = ByteQueries::new(&queries, DIMENSION).unwrap();
        let scan = self.scan(&queries, 0, count);
        let shortlist = bar.map_or(Shortlist::new(K), with_bar);
        let mut shortlists = vec![shortlist; query_count];
        let seconds = time(|_| {
            if bar.is_none() {
                shortlists.iter_mut().for_each(Shortlist::clear);
            }
            scan.run(&mut shortlists).unwrap();
        });
        let bars = bar.map_or("from empty shortlists", |_| "with bars");
        let what = format!("bytes, {query_count} queries, {count} rows, {bars}");
        report_products(&what, query_count * count, seconds, products);
    }

    fn nearest(&self, query_count: usize, count: usize, products: f64) {
        let queries = numbers(query_count * DIMENSION, 7);
        let queries = ByteQueries::new(&queries, DIMENSION).unwrap();
        let scan = self.scan(&queries, 0, count);
        let mut nearest = vec![(0, 0.0); query_count];
        let seconds = time(|_| nearest_bytes(&scan, &mut nearest).unwrap());
        let pairs = query_count * count;
        report_products(
            &format!("nearest of {query_count}"),
            pairs,
            seconds,
            products,
        );
    }
}

struct Bits {
    codes: (Vec<u8>, usize),
    factors: Vec<f32>,
}

impl Bits {
    fn new(count: usize) -> Self {
        let block = bit_block_len(DIMENSION);
        let mut codes = on_a_line(count / 32 * block);
        let rows = numbers(4096 * DIMENSION, 2);
        for to in codes.0[codes.1..].chunks_exact_mut(4096 / 32 * block) {
            encode_bits(&rows, DIMENSION, to).unwrap();
        }
        let factors = numbers(count, 3);
        Self { codes, factors }
    }

    fn scan<'a>(&'a self, query: &'a BitQuery, first: usize, count: usize) -> BitScan<'a> {
        let block = bit_block_len(DIMENSION);
        let codes = &self.codes.0[self.codes.1 + first / 32 * block..];
        BitScan {
            query,
            codes: &codes[..count.div_ceil(32) * block],
            count,
            factors: &self.factors[first..first + count],
            offsets: Some(&self.factors[first..first + count]),
            base: 0.0,
            rows: RowIds::First(0),
            accept: None,
        }
    }

    fn one_query(&self, what: &str, count: usize, bandwidth: f64) {
        let query = BitQuery::new(&numbers(DIMENSION, 9)).unwrap();
        let scan = self.scan(&query, 0, count);
        let mut shortlist = with_bar(60.0);
        let seconds = time(|_| scan.run(&mut shortlist).unwrap());
        report(
            &format!("bits, {what}"),
            count,
            scan.codes.len(),
            seconds,
            bandwidth,
        );
    }

    fn in_memory(&self, bandwidth: f64) {
        let query = BitQuery::new(&numbers(DIMENSION, 9)).unwrap();
        let mut shortlist = with_bar(60.0);
        let count = self.factors.len() / PARTS;
        let seconds = time(|number| {
            let scan = self.scan(&query, number % PARTS * count, count);
            scan.run(&mut shortlist).unwrap();
        });
        let bytes = count / 32 * bit_block_len(DIMENSION);
        report("bits, memory", count, bytes, seconds, bandwidth);
    }
}

/// A shortlist whose bar is where many rows before have left it.
fn with_bar(bar: f32) -> Shortlist {
    let mut shortlist = Shortlist::new(K);
    (0..K as u32).for_each(|row| shortlist.offer(row, bar, bar));
    shortlist.finish();
    shortlist
}

/// What is done once a query or once a row.
fn preparation() {
    let mut vectors = numbers(DIMENSION, 5);
    let mut query = BitQuery::new(&vectors).unwrap();
    let seconds = time(|_| query.set(&vectors).unwrap());
    println!("tables of a query: {:.2} us", seconds * 1e6);
    let rotation = Rotation::new(DIMENSION, 1).unwrap();
    let seconds = time(|_| rotation.apply(&mut vectors).unwrap());
    println!("rotation of a vector: {:.2} us", seconds * 1e6);
    let rows = numbers(64 * DIMENSION, 6);
    let mut codes = vec![0; 4 * byte_tile_len(DIMENSION)];
    let (mut scales, mut errors) = (vec![0.0; 64], vec![0.0; 64]);
    let seconds =
        time(|_| encode_bytes(&rows, DIMENSION, &mut codes, &mut scales, &mut errors).unwrap());
    println!("byte codes of a row: {:.2} us", seconds / 64.0 * 1e6);
    let mut codes = vec![0; 2 * bit_block_len(DIMENSION)];
    let seconds = time(|_| encode_bits(&rows, DIMENSION, &mut codes).unwrap());
    println!("bit codes of a row: {:.2} us", seconds / 64.0 * 1e6);
}

fn report(what: &str, rows: usize, bytes: usize, seconds: f64, bandwidth: f64) {
    let rate = bytes as f64 / seconds;
    println!(
        "{what}: {:.2} us, {:.3} G rows/s ({:.3} ns a row), {:.1} GB/s, {:.0} % of memory's",
        seconds * 1e6,
        rows as f64 / seconds / 1e9,
        seconds / rows as f64 * 1e9,
        rate / 1e9,
        100.0 * rate / bandwidth
    );
}

fn report_products(what: &str, pairs: usize, seconds: f64, products: f64) {
    let rate = (pairs * DIMENSION) as f64 / seconds;
    println!(
        "{what}: {:.1} ms, {:.2} G pairs/s, {:.0} G products/s, {:.0} % of peak",
        seconds * 1e3,
        pairs as f64 / seconds / 1e9,
        rate / 1e9,
        100.0 * rate / products
    );
}
