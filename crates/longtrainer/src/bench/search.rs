//! A test of search: many questions at once over many vectors.

use std::time::Instant;

use longtrainer_index::{FlatIndex, Metric, VectorIndex};

use crate::device_index::device_index;
use crate::error::{Error, Result};

use super::Bench;
use super::measurement::{Arithmetic, Measurement, Subject};
use super::memory_watch::MemoryWatch;
use super::sample::{LEAST, rate};

/// Hits a query.
const K: usize = 10;
/// Vectors that are made at a time.
const AT_A_TIME: usize = 1 << 16;

/// How much is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchSize {
    /// Vectors to search among.
    pub vectors: usize,
    /// Components of each.
    pub dimension: usize,
    /// Queries of a call.
    pub queries: usize,
}

impl Default for SearchSize {
    /// A million passages of an embedder of 384 components, 64 questions at once.
    fn default() -> Self {
        Self {
            vectors: 1_000_000,
            dimension: 384,
            queries: 64,
        }
    }
}

impl SearchSize {
    fn check(self) -> Result<()> {
        let sizes = [
            ("vectors", self.vectors, 100_000_000, "1 to 100000000"),
            ("dimension", self.dimension, 65_536, "1 to 65536"),
            ("queries", self.queries, 65_536, "1 to 65536"),
        ];
        let outside = sizes
            .iter()
            .find(|(_, size, most, _)| !(1..=*most).contains(size));
        match outside {
            None => Ok(()),
            Some((name, size, _, expected)) => Err(Error::InvalidSetting {
                name,
                value: size.to_string(),
                expected,
            }),
        }
    }
}

/// Vectors that are ready to be searched.
pub struct SearchBench<'bench> {
    bench: &'bench Bench,
    index: Box<dyn VectorIndex>,
    size: SearchSize,
}

impl<'bench> SearchBench<'bench> {
    /// On the processor the index itself searches, elsewhere its copy on the device.
    pub(super) fn fill(bench: &'bench Bench, size: SearchSize) -> Result<Self> {
        size.check()?;
        let flat = FlatIndex::new(size.dimension, Metric::InnerProduct)?;
        let flat = flat.with_threads(bench.threads())?;
        let mut random = Random(0x5EED);
        for first in (0..size.vectors).step_by(AT_A_TIME) {
            let count = AT_A_TIME.min(size.vectors - first);
            let ids: Vec<u64> = (first..first + count).map(|id| id as u64).collect();
            flat.upsert(&ids, &random.values(count * size.dimension))?;
        }
        let index: Box<dyn VectorIndex> = match bench.device() {
            "cpu" => Box::new(flat),
            _ => Box::new(device_index(flat, &bench.device)?),
        };
        Ok(Self { bench, index, size })
    }

    /// Searches for the ten nearest to each query; the rate is in queries a second.
    ///
    /// # Errors
    ///
    /// Those of the index.
    pub fn measure(&self) -> Result<Measurement> {
        let SearchSize {
            vectors,
            dimension,
            queries,
        } = self.size;
        let values = Random(7).values(queries * dimension);
        let watch = MemoryWatch::start(&self.bench.device);
        let spread = rate(queries, self.bench.options.repeats, LEAST, || {
            let started = Instant::now();
            self.index.search_batch(&values, K)?;
            Ok(started.elapsed())
        });
        let (spread, memory) = (spread?, watch.stop());
        let subject = Subject {
            test: format!("{queries} in {vectors}x{dimension}"),
            unit: "queries/s",
            model: "exact search",
            model_size_bytes: (vectors * dimension * size_of::<f32>()) as u64,
            arithmetic: Arithmetic::F32,
        };
        let measurement = Measurement::new(self.bench, subject, spread).with_memory(memory);
        Ok(measurement.with_arithmetic(self.bench, 2.0 * (vectors * dimension) as f64))
    }
}

/// Xorshift (Marsaglia 2003).
struct Random(u64);

impl Random {
    fn values(&mut self, count: usize) -> Vec<f32> {
        let next = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        std::iter::repeat_with(next).take(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::BenchOptions;

    #[test]
    fn searches_are_measured_and_sizes_checked() {
        let bench = Bench::new(BenchOptions {
            threads: 1,
            device: longtrainer_inference::DeviceChoice::Cpu,
            repeats: 1,
        });
        let bench = bench.unwrap();
        let size = SearchSize {
            vectors: 70_000,
            dimension: 8,
            queries: 3,
        };
        let measured = bench.search(size).unwrap().measure().unwrap();
        assert_eq!(measured.test, "3 in 70000x8");
        assert_eq!(measured.unit, "queries/s");
        assert!(measured.value > 0.0 && measured.arithmetic_share.unwrap() > 0.0);
        let none = SearchSize { queries: 0, ..size };
        let error = bench.search(none).err().unwrap().to_string();
        assert!(error.contains("queries is 0"), "{error}");
    }
}
