//! Tests of made-up models: what a device does with a shape, without any download.

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use longtrainer_inference::{
    BareTextModel, EncoderShape, Precision, TOWER_PRECISION, TextModelOptions, TextShape,
    VisionCheckpoint, VisionShape, VisionTower, WeightType, load_tower,
};

use crate::error::{Error, Result};

use super::error::BenchError;
use super::measurement::{Arithmetic, Measurement, Subject};
use super::memory_watch::MemoryWatch;
use super::sample::{LEAST, rate};
use super::shape::ShapeKind;
use super::vision::random_frame;
use super::{Bench, EmbeddingBench, EmbeddingTest, Shape, TextBench, TextTest};

/// The name of the test of a vision half.
const FRAME: &str = "frame";
/// Tokens embedded together at most, when it is looked for what saturates the device.
const MOST_TOKENS: usize = 1 << 17;
/// A larger batch must be faster by this to be worth more memory.
const WORTH_IT: f64 = 1.03;

/// A test of a made-up model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShapeTest {
    /// Of the text model.
    Text(TextTest),
    /// Of an encoder.
    Embedding(EmbeddingTest),
    /// Of an encoder with rows of so many tokens, as many together as make it fastest: `x128`.
    Saturated(usize),
    /// Of a vision half: `frame`.
    Frame,
}

impl FromStr for ShapeTest {
    type Err = BenchError;

    fn from_str(name: &str) -> Result<Self, BenchError> {
        if name == FRAME {
            return Ok(Self::Frame);
        }
        if let Some(tokens) = name.strip_prefix('x')
            && let Ok(EmbeddingTest { tokens, .. }) = format!("1x{tokens}").parse()
        {
            return Ok(Self::Saturated(tokens));
        }
        if let Ok(test) = name.parse() {
            return Ok(Self::Embedding(test));
        }
        name.parse().map(Self::Text).map_err(|_| BenchError::UnknownTest {
            name: name.to_owned(),
            expected: "ppN, tgN, tgN@D, BxtgN or BxtgN@D for text models, BxL or xL (as many rows as \
                       are fastest) for encoders, frame for vision models",
        })
    }
}

impl fmt::Display for ShapeTest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(test) => test.fmt(formatter),
            Self::Embedding(test) => test.fmt(formatter),
            Self::Saturated(tokens) => write!(formatter, "x{tokens}"),
            Self::Frame => formatter.write_str(FRAME),
        }
    }
}

/// A made-up model under test.
pub struct ShapeBench<'bench> {
    bench: &'bench Bench,
    name: String,
    text: Option<TextBench<'bench>>,
    encoder: Option<EmbeddingBench<'bench>>,
    vision: Option<Tower>,
}

struct Tower {
    tower: std::sync::Arc<dyn VisionTower>,
    shape: VisionShape,
}

impl<'bench> ShapeBench<'bench> {
    pub(super) fn load(bench: &'bench Bench, shape: &Shape, weights: WeightType) -> Result<Self> {
        let mut loaded = Self {
            bench,
            name: shape.name.to_owned(),
            text: None,
            encoder: None,
            vision: None,
        };
        match &shape.kind {
            ShapeKind::Text(text) => loaded.text = Some(loaded.load_text(text, weights)?),
            ShapeKind::Encoder(encoder) => loaded.encoder = Some(loaded.load_encoder(encoder)?),
            ShapeKind::Vision(vision, text) => {
                loaded.vision = Some(loaded.load_vision(vision)?);
                loaded.text = Some(loaded.load_text(text, weights)?);
            }
        }
        Ok(loaded)
    }

    fn load_text(&self, shape: &TextShape, weights: WeightType) -> Result<TextBench<'bench>> {
        let options = TextModelOptions {
            device: self.bench.device.clone(),
            threads: Some(self.bench.threads()),
            ..TextModelOptions::default()
        };
        let name = &self.name;
        let load = || BareTextModel::made_up(name, shape, weights, &options);
        let model = self.bench.bounded(load)?;
        let size = model.weight_bytes() as u64;
        let name = format!("{} ({weights})", self.name);
        Ok(TextBench::of(self.bench, &name, model, size))
    }

    fn load_encoder(&self, shape: &EncoderShape) -> Result<EmbeddingBench<'bench>> {
        let folder = temporary()?;
        shape.write(folder.path())?;
        self.bench
            .embeddings(&self.name, folder.path(), Precision::default())
    }

    fn load_vision(&self, shape: &VisionShape) -> Result<Tower> {
        let folder = temporary()?;
        shape.write(folder.path())?;
        let checkpoint = VisionCheckpoint::open(folder.path())?;
        let threads = Some(self.bench.threads());
        let tower = load_tower(&checkpoint, &self.bench.device, threads, TOWER_PRECISION)?;
        Ok(Tower {
            tower,
            shape: *shape,
        })
    }

    /// The tests that are run unless others are asked for.
    pub fn usual(&self) -> Vec<ShapeTest> {
        let mut tests = Vec::new();
        if self.vision.is_some() {
            tests.push(ShapeTest::Frame);
        }
        if self.text.is_some() {
            let generation = |rows| TextTest::Generation {
                tokens: 128,
                depth: 0,
                rows,
            };
            let prompts = [512, 4096].map(|tokens| TextTest::Prompt { tokens });
            let all = prompts.into_iter().chain([1, 8, 64].map(generation));
            tests.extend(all.map(ShapeTest::Text));
        }
        if self.encoder.is_some() {
            tests.extend([16, 128, 512].map(ShapeTest::Saturated));
        }
        tests
    }

    /// Whether the model can do the test.
    ///
    /// # Errors
    ///
    /// [`BenchError::OtherKind`] for tests of other kinds of models, [`BenchError::TooLong`].
    pub fn check(&self, test: ShapeTest) -> Result<(), BenchError> {
        let other_kind = || BenchError::OtherKind {
            test: test.to_string(),
            model: self.name.clone(),
        };
        match test {
            ShapeTest::Text(test) => self.text.as_ref().ok_or_else(other_kind)?.check(test),
            ShapeTest::Embedding(test) => self.encoder.as_ref().ok_or_else(other_kind)?.check(test),
            ShapeTest::Saturated(tokens) => {
                let encoder = self.encoder.as_ref().ok_or_else(other_kind)?;
                encoder.check(EmbeddingTest { rows: 1, tokens })
            }
            ShapeTest::Frame => self.vision.as_ref().map(drop).ok_or_else(other_kind),
        }
    }

    /// Runs a test.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), and those of the models.
    pub fn measure(&mut self, test: ShapeTest) -> Result<Measurement> {
        self.check(test)?;
        match (test, &mut self.text, &self.encoder, &self.vision) {
            (ShapeTest::Text(test), Some(text), _, _) => text.measure(test),
            (ShapeTest::Embedding(test), _, Some(encoder), _) => encoder.measure(test),
            (ShapeTest::Saturated(tokens), _, Some(encoder), _) => saturated(encoder, tokens),
            (ShapeTest::Frame, _, _, Some(tower)) => self.measure_frames(tower),
            _ => Err(BenchError::OtherKind {
                test: test.to_string(),
                model: self.name.clone(),
            }
            .into()),
        }
    }

    fn measure_frames(&self, vision: &Tower) -> Result<Measurement> {
        let (bench, name) = (self.bench, &self.name);
        let frame = random_frame(vision.tower.config().frame_values());
        let frames = vec![frame.as_slice(); vision.tower.frames_at_once()];
        let watch = MemoryWatch::start(&bench.device);
        let spread = bench.bounded(|| {
            rate(frames.len(), bench.options.repeats, LEAST, || {
                let started = Instant::now();
                let seen = vision.tower.encode_frames(&frames);
                seen.map_err(|source| longtrainer_inference::Error::Compute {
                    model: name.clone(),
                    source,
                })?;
                Ok(started.elapsed())
            })
        });
        let (spread, memory) = (spread?, watch.stop());
        let subject = Subject {
            test: FRAME.to_owned(),
            unit: "frames/s",
            model: &self.name,
            model_size_bytes: vision.tower.memory_bytes() as u64,
            arithmetic: Arithmetic::of(TOWER_PRECISION, bench.device()),
        };
        let measurement = Measurement::new(bench, subject, spread).with_memory(memory);
        Ok(measurement.with_arithmetic(bench, 2.0 * vision.shape.products() as f64))
    }
}

/// Embeds ever larger batches as long as that pays.
fn saturated(encoder: &EmbeddingBench<'_>, tokens: usize) -> Result<Measurement> {
    let mut rows = 8;
    let mut best = encoder.measure(EmbeddingTest { rows, tokens })?;
    while 2 * rows * tokens <= MOST_TOKENS {
        rows *= 2;
        let next = encoder.measure(EmbeddingTest { rows, tokens })?;
        let pays = next.value > best.value * WORTH_IT;
        if next.value > best.value {
            best = next;
        }
        if !pays {
            break;
        }
    }
    Ok(best)
}

fn temporary() -> Result<tempfile::TempDir> {
    tempfile::tempdir().map_err(|source| Error::Io {
        action: "make a folder in",
        path: std::env::temp_dir(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::BenchOptions;
    use longtrainer_inference::DeviceChoice;

    fn bench() -> Bench {
        let device = std::env::var("LONGTRAINER_TEST_DEVICE");
        let device = device.unwrap_or_else(|_| "cpu".to_owned());
        Bench::new(BenchOptions {
            threads: 1,
            device: device.parse::<DeviceChoice>().unwrap(),
            repeats: 1,
        })
        .unwrap()
    }

    #[test]
    fn names_of_tests_are_read_and_written() {
        for name in [
            "pp512",
            "tg128",
            "8xtg128",
            "64xtg1@100",
            "4x16",
            "x128",
            "frame",
        ] {
            assert_eq!(name.parse::<ShapeTest>().unwrap().to_string(), name);
        }
        for name in [
            "", "x", "x0", "frames", "1xtg5", "0xtg5", "2000xtg5", "8xpp5", "tg",
        ] {
            let error = name.parse::<ShapeTest>().unwrap_err().to_string();
            assert!(error.contains(&format!("{name:?}")), "{error}");
        }
    }

    #[test]
    fn made_up_models_are_measured() {
        let bench = bench();
        for (shape, tests) in [
            ("tiny-text", &["pp64", "4xtg8@9"][..]),
            ("tiny-encoder", &["x16"]),
            ("tiny-vision", &["frame", "tg8"]),
        ] {
            let shape: Shape = shape.parse().unwrap();
            let mut model = bench.shape(&shape, WeightType::Bf16).unwrap();
            assert!(!model.usual().is_empty());
            for test in tests {
                let measured = model.measure(test.parse().unwrap()).unwrap();
                assert!(measured.value > 0.0, "{test}");
                assert!(measured.model.starts_with(shape.name));
                assert!(measured.peak_memory_bytes.unwrap_or(1) > 0);
                let share = measured.arithmetic_share.or(measured.bandwidth_share);
                assert!(share.is_none_or(|share| share > 0.0));
            }
        }
    }

    #[test]
    fn tests_of_other_kinds_and_lengths_are_refused() {
        let bench = bench();
        let shape: Shape = "tiny-text".parse().unwrap();
        let mut model = bench.shape(&shape, WeightType::F32).unwrap();
        for test in ["frame", "x16", "4x16", "pp300"] {
            let error = model
                .measure(test.parse().unwrap())
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(test) && error.contains("tiny-text"),
                "{error}"
            );
        }
    }
}
