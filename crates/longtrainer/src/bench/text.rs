//! Tests of a text model: how fast it reads a prompt, and how fast it makes tokens.
//!
//! Tokens are random, from a fixed seed: how fast a model of this kind is does not depend on them.
//! Nothing is sampled, because that is not the model's work; the next random token is read instead.

use std::path::Path;
use std::time::{Duration, Instant};

use longtrainer_inference::{BareTextModel, TextModelOptions};

use crate::error::Result;

use super::error::BenchError;
use super::measurement::{Arithmetic, Measurement, Subject};
use super::memory_watch::MemoryWatch;
use super::sample::{LEAST, rate};
use super::{Bench, TextTest, file_size};

/// Tokens of a prompt that are read together, as llama-bench reads them.
const CHUNK: usize = 512;

/// A text model under test.
#[derive(Debug)]
pub struct TextBench<'bench> {
    bench: &'bench Bench,
    name: String,
    model: BareTextModel,
    size: u64,
}

impl<'bench> TextBench<'bench> {
    pub(super) fn load(bench: &'bench Bench, name: &str, file: &Path) -> Result<Self> {
        let size = file_size(file)?;
        let options = TextModelOptions {
            device: bench.device.clone(),
            threads: Some(bench.threads()),
            ..TextModelOptions::default()
        };
        let model = bench.bounded(|| BareTextModel::load(name, file, &options))?;
        Ok(Self::of(bench, name, model, size))
    }

    /// A model that was loaded; `size` is that of its weights' file.
    pub(super) fn of(bench: &'bench Bench, name: &str, model: BareTextModel, size: u64) -> Self {
        Self {
            bench,
            name: name.to_owned(),
            model,
            size,
        }
    }

    /// Whether the model's context holds the test.
    ///
    /// # Errors
    ///
    /// [`BenchError::TooLong`] if not.
    pub fn check(&self, test: TextTest) -> Result<(), BenchError> {
        let tokens = test.untimed() + test.timed();
        let limit = self.model.context_length();
        if tokens <= limit {
            return Ok(());
        }
        Err(BenchError::TooLong {
            test: test.to_string(),
            model: self.name.clone(),
            tokens,
            limit,
        })
    }

    /// Runs a test.
    ///
    /// # Errors
    ///
    /// [`BenchError::TooLong`] if the context does not hold it, and those of the model.
    pub fn measure(&mut self, test: TextTest) -> Result<Measurement> {
        self.check(test)?;
        let count = test.untimed() + test.timed() * test.rows();
        let tokens = random_tokens(count, self.model.vocabulary());
        let (bench, model) = (self.bench, &mut self.model);
        let watch = MemoryWatch::start(&bench.device);
        let spread = bench.bounded(|| {
            let run = || run(model, test, &tokens);
            rate(
                test.timed() * test.rows(),
                bench.options.repeats,
                LEAST,
                run,
            )
        });
        let (spread, memory) = (spread?, watch.stop());
        let subject = Subject {
            test: test.to_string(),
            unit: "tokens/s",
            model: &self.name,
            model_size_bytes: self.size,
            arithmetic: match (
                self.model.multiplies_integers(),
                self.model.multiplies_bf16(),
            ) {
                (true, _) => Arithmetic::Int8,
                (_, true) => Arithmetic::Bf16,
                _ => Arithmetic::F32,
            },
        };
        let measurement = Measurement::new(bench, subject, spread).with_memory(memory);
        Ok(self.with_reached(measurement, test))
    }

    /// Making a token waits for memory, reading many for arithmetic: adds what counts.
    fn with_reached(&self, measurement: Measurement, test: TextTest) -> Measurement {
        match test {
            TextTest::Prompt { .. } => {
                let operations = 2.0 * self.model.block_parameters() as f64;
                measurement.with_arithmetic(self.bench, operations)
            }
            TextTest::Generation { tokens, .. } => {
                // On average, half of the tokens made stand in the context, too.
                let cached = test.untimed() as f64 + (tokens as f64 - 1.0) / 2.0;
                let cache = cached * self.model.cache_bytes_a_token() as f64;
                // A step reads the weights once, whatever the number of contexts.
                let weights = self.model.weight_bytes() as f64 / test.rows() as f64;
                measurement.with_bandwidth(self.bench, weights + cache)
            }
        }
    }
}

/// One run; how long its timed part took.
fn run(model: &mut BareTextModel, test: TextTest, tokens: &[u32]) -> Result<Duration> {
    model.clear_to(test.rows());
    let (before, timed) = tokens.split_at(test.untimed());
    for chunk in before.chunks(CHUNK) {
        model.skip(chunk)?;
    }
    let started = Instant::now();
    match test {
        TextTest::Prompt { .. } => read_prompt(model, timed)?,
        TextTest::Generation { .. } => {
            for tokens in timed.chunks(test.rows()) {
                model.choose_together(tokens)?;
            }
        }
    }
    Ok(started.elapsed())
}

/// Reads a prompt in chunks; only the last token needs logits.
fn read_prompt(model: &mut BareTextModel, tokens: &[u32]) -> Result<()> {
    let mut chunks = tokens.chunks(CHUNK).peekable();
    while let Some(chunk) = chunks.next() {
        match chunks.peek() {
            Some(_) => model.skip(chunk)?,
            None => drop(model.read(chunk)?),
        }
    }
    Ok(())
}

/// The same tokens in every run and on every machine, by a linear congruential generator.
pub(super) fn random_tokens(count: usize, vocabulary: usize) -> Vec<u32> {
    let mut state = 0x5EED_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % vocabulary.max(1) as u64) as u32
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_spread_over_the_vocabulary_and_always_the_same() {
        let tokens = random_tokens(2000, 100);
        assert_eq!(tokens, random_tokens(2000, 100));
        assert!(tokens.iter().all(|token| *token < 100));
        let distinct: std::collections::HashSet<_> = tokens.iter().collect();
        assert!(distinct.len() > 90, "{}", distinct.len());
    }
}
