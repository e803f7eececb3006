//! Tests of a vision model: frames through the tower, and the wait for the first word about a picture.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use longtrainer_inference::{
    Adapter, Detail, GenerateRequest, GgufTextModel, Message, Picture, Precision, Role, StreamItem,
    TextModel, TextModelOptions, VisionCheckpoint, VisionModel, VisionModelOptions, VisionTower,
    load_tower,
};

use crate::error::{Error, Result};

use super::measurement::{Arithmetic, Measurement, Subject};
use super::sample::{LEAST, rate};
use super::{Bench, file_size};

/// The names of the measurements.
const FRAME: &str = "frame";
const FIRST_TOKEN: &str = "first token";
/// What is asked about each picture.
const QUESTION: &str = "What is in the picture?";
/// Pixels a side of the pictures, which are larger than a frame, as most are.
const SIDE: u32 = 640;

/// The files of a vision model.
#[derive(Debug, Clone, Copy)]
pub struct VisionFiles<'path> {
    /// The vision half: a folder or an `mmproj` file.
    pub vision: &'path Path,
    /// The text model: a folder or a GGUF file.
    pub text: &'path Path,
    /// What changes the text model for pictures.
    pub adapter: Option<&'path Path>,
}

/// A vision model under test.
pub struct VisionBench<'bench> {
    bench: &'bench Bench,
    tower: Arc<dyn VisionTower>,
    model: VisionModel,
    size: u64,
    arithmetic: Arithmetic,
}

impl<'bench> VisionBench<'bench> {
    pub(super) fn load(
        bench: &'bench Bench,
        name: &str,
        files: VisionFiles<'_>,
        precision: Precision,
    ) -> Result<Self> {
        let options = VisionModelOptions {
            device: bench.device.clone(),
            threads: Some(bench.threads()),
            precision,
            detail: Some(Detail::Low),
            ..VisionModelOptions::default()
        };
        let size = match files.vision.is_dir() {
            true => file_size(&files.vision.join("model.safetensors"))?,
            false => file_size(files.vision)?,
        };
        let checkpoint = VisionCheckpoint::open(files.vision)?;
        let tower = load_tower(&checkpoint, &bench.device, options.threads, precision)?;
        Ok(Self {
            bench,
            tower,
            model: bench.bounded(|| load(bench, name, files, &options))?,
            size,
            arithmetic: Arithmetic::of(precision, bench.device()),
        })
    }

    /// Frames a second through tower and connector, as many together as suit the device.
    ///
    /// # Errors
    ///
    /// Those of the tower.
    pub fn measure_frames(&self) -> Result<Measurement> {
        let frame = random_frame(self.tower.config().frame_values());
        let frames = vec![frame.as_slice(); self.tower.frames_at_once()];
        let spread = self.bench.bounded(|| {
            rate(frames.len(), self.bench.options.repeats, LEAST, || {
                let started = Instant::now();
                self.tower.encode_frames(&frames).map_err(|source| {
                    Error::Inference(longtrainer_inference::Error::Compute {
                        model: self.model.info().model.clone(),
                        source,
                    })
                })?;
                Ok(started.elapsed())
            })
        })?;
        Ok(Measurement::new(
            self.bench,
            self.subject(FRAME, "frames/s"),
            spread,
        ))
    }

    /// Milliseconds from a question about a picture that the model has not seen, in one frame, to the
    /// first word of the answer.
    ///
    /// # Errors
    ///
    /// Those of the model.
    pub fn measure_first_token(&self) -> Result<Measurement> {
        let mut number = 0;
        let spread = rate(1, self.bench.options.repeats, LEAST, || {
            number += 1;
            self.wait_for_first_token(number)
        })?;
        let subject = self.subject(FIRST_TOKEN, "ms");
        Ok(Measurement::new(
            self.bench,
            subject,
            spread.in_milliseconds(),
        ))
    }

    fn wait_for_first_token(&self, number: u32) -> Result<Duration> {
        let picture = noise(number);
        let message = Message::new(Role::User, QUESTION).with_pictures(vec![picture]);
        let request = GenerateRequest::new(vec![message], 1);
        let started = Instant::now();
        for item in self.model.generate(request)? {
            if let StreamItem::Text(_) | StreamItem::Done(_) = item? {
                return Ok(started.elapsed());
            }
        }
        Err(Error::VqaBrokeOff)
    }

    fn subject(&self, test: &str, unit: &'static str) -> Subject<'_> {
        Subject {
            test: test.to_owned(),
            unit,
            model: &self.model.info().model,
            model_size_bytes: self.size,
            arithmetic: self.arithmetic,
        }
    }
}

fn load(
    bench: &Bench,
    name: &str,
    files: VisionFiles<'_>,
    options: &VisionModelOptions,
) -> Result<VisionModel> {
    let text_options = TextModelOptions {
        device: bench.device.clone(),
        threads: Some(bench.threads()),
        ..TextModelOptions::default()
    };
    let text = Arc::new(GgufTextModel::load(name, files.text, &text_options)?);
    let adapter = files
        .adapter
        .map(|path| Adapter::load(name, path))
        .transpose()?;
    Ok(VisionModel::load(
        name,
        text,
        files.vision,
        adapter,
        options,
    )?)
}

/// Values from -1 to 1. How fast a tower is does not depend on them.
pub(super) fn random_frame(values: usize) -> Vec<f32> {
    let mut random = Random(1);
    (0..values)
        .map(|_| f32::from(random.byte()) / 127.5 - 1.0)
        .collect()
}

/// A picture of noise, a bitmap of 24 bits a pixel, different for each number.
fn noise(number: u32) -> Picture {
    let size = 3 * SIDE * SIDE;
    let mut bytes = b"BM".to_vec();
    let numbers = [54 + size, 0, 54, 40, SIDE, SIDE];
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes.extend([1, 0, 24, 0]);
    bytes.extend([0; 24]);
    let mut random = Random(u64::from(number) + 1);
    bytes.extend((0..size).map(|_| random.byte()));
    Picture::new(format!("noise {number}"), bytes)
}

/// Xorshift (Marsaglia 2003).
struct Random(u64);

impl Random {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 24) as u8
    }
}
