//! Tests of an embedding model: rows of exactly so many tokens, or texts from a file.
//!
//! Rows come as tokens, so that their lengths are exact and tokenising is not timed; texts are timed
//! from text to vector.

use std::path::Path;
use std::time::{Duration, Instant};

use longtrainer_inference::{BertEmbedder, Embedder, EmbedderOptions, Precision};

use crate::error::Result;

use super::error::BenchError;
use super::measurement::{Arithmetic, Measurement, Subject};
use super::memory_watch::MemoryWatch;
use super::sample::{LEAST, rate};
use super::text::random_tokens;
use super::{Bench, EmbeddingTest, file_size};

/// Tokens that rows are made of: fewer than any model of the family has.
const VOCABULARY: usize = 1000;
/// The name of a measurement of texts.
const TEXTS: &str = "texts";

/// An embedding model under test.
#[derive(Debug)]
pub struct EmbeddingBench<'bench> {
    bench: &'bench Bench,
    model: BertEmbedder,
    size: u64,
    arithmetic: Arithmetic,
}

impl<'bench> EmbeddingBench<'bench> {
    pub(super) fn load(
        bench: &'bench Bench,
        name: &str,
        folder: &Path,
        precision: Precision,
    ) -> Result<Self> {
        Ok(Self {
            bench,
            size: file_size(&folder.join("model.safetensors"))?,
            model: bench.bounded(|| load(bench, name, folder, precision))?,
            arithmetic: Arithmetic::of(precision, bench.device()),
        })
    }

    /// Whether the model takes rows as long as the test's.
    ///
    /// # Errors
    ///
    /// [`BenchError::TooLong`] if not.
    pub fn check(&self, test: EmbeddingTest) -> Result<(), BenchError> {
        let limit = self.model.info().max_tokens;
        if test.tokens <= limit {
            return Ok(());
        }
        Err(BenchError::TooLong {
            test: test.to_string(),
            model: self.model.info().model.clone(),
            tokens: test.tokens,
            limit,
        })
    }

    /// Runs a test; the rate is in sequences a second.
    ///
    /// # Errors
    ///
    /// [`BenchError::TooLong`] if the model does not take such rows, and those of the model.
    pub fn measure(&self, test: EmbeddingTest) -> Result<Measurement> {
        self.check(test)?;
        let tokens = random_tokens(test.rows * test.tokens, VOCABULARY);
        let rows: Vec<Vec<u32>> = tokens.chunks(test.tokens).map(<[u32]>::to_vec).collect();
        let measurement = self.sample(test.to_string(), "sequences/s", test.rows, || {
            let rows = rows.clone();
            let started = Instant::now();
            self.model.embed_tokens(rows)?;
            Ok(started.elapsed())
        })?;
        let operations = 2.0 * (test.tokens * self.model.layer_parameters()) as f64;
        Ok(measurement.with_arithmetic(self.bench, operations))
    }

    /// Embeds texts, tokenising included; the rate is in texts a second.
    ///
    /// # Errors
    ///
    /// [`BenchError::NoTexts`] if there are none, and those of the model.
    pub fn measure_texts(&self, texts: &[String]) -> Result<Measurement> {
        if texts.is_empty() {
            return Err(BenchError::NoTexts.into());
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.sample(TEXTS.to_owned(), "texts/s", texts.len(), || {
            let started = Instant::now();
            self.model.embed(&texts)?;
            Ok(started.elapsed())
        })
    }

    fn sample(
        &self,
        test: String,
        unit: &'static str,
        amount: usize,
        run: impl FnMut() -> Result<Duration> + Send,
    ) -> Result<Measurement> {
        let repeats = self.bench.options.repeats;
        let watch = MemoryWatch::start(&self.bench.device);
        let spread = self.bench.bounded(|| rate(amount, repeats, LEAST, run));
        let (spread, memory) = (spread?, watch.stop());
        let subject = Subject {
            test,
            unit,
            model: &self.model.info().model,
            model_size_bytes: self.size,
            arithmetic: self.arithmetic,
        };
        Ok(Measurement::new(self.bench, subject, spread).with_memory(memory))
    }
}

/// The hash of the weights names the vectors that are stored, and here none are.
fn load(bench: &Bench, name: &str, folder: &Path, precision: Precision) -> Result<BertEmbedder> {
    let options = EmbedderOptions {
        device: bench.device.clone(),
        threads: Some(bench.threads()),
        precision,
    };
    Ok(BertEmbedder::load(name, folder, "", &options)?)
}
