//! What this machine does with a model: tokens read and made a second, texts embedded a second, and
//! how much of the machine's bandwidth and arithmetic that takes.
//!
//! The tests are the field's: `pp512` reads 512 tokens into an empty context, `tg128@2048` makes 128
//! tokens after 2,048, `32x128` embeds 32 rows of exactly 128 tokens, `frame` passes a frame of pixels
//! through a vision tower. Each is run once to warm up and
//! then sampled; a sample runs a test until half a second is over. A [`Bench`] holds what all tests
//! share: threads, device and the machine's peaks. Nothing here prints.

mod embeddings;
mod environment;
mod error;
mod measurement;
mod memory_watch;
mod peaks;
mod sample;
mod search;
mod shape;
mod shape_bench;
mod test_name;
mod text;
mod text_file;
mod vision;

use std::path::Path;
use std::sync::OnceLock;

pub use longtrainer_inference::WeightType;
use longtrainer_inference::{DeviceChoice, Precision, SelectedDevice, select_device};
use longtrainer_kernels::Team;

use crate::error::{Error, Result};

pub use embeddings::EmbeddingBench;
pub use environment::Environment;
pub use error::BenchError;
pub use measurement::{Arithmetic, Measurement};
pub use peaks::Peaks;
pub use search::{SearchBench, SearchSize};
pub use shape::{SHAPE_NAMES, Shape};
pub use shape_bench::{ShapeBench, ShapeTest};
pub use test_name::{EmbeddingTest, TextTest};
pub use text::TextBench;
pub use text_file::read_texts;
pub use vision::{VisionBench, VisionFiles};

/// More threads than any machine has.
const MOST_THREADS: usize = 1024;

/// How tests are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BenchOptions {
    /// Threads that compute.
    pub threads: usize,
    /// Where models run.
    pub device: DeviceChoice,
    /// Samples of each test.
    pub repeats: usize,
}

impl Default for BenchOptions {
    /// All threads that this process may use, the device that `auto` chooses, 5 samples.
    fn default() -> Self {
        Self {
            threads: longtrainer_kernels::default_threads(),
            device: DeviceChoice::default(),
            repeats: 5,
        }
    }
}

/// The machine, ready for tests.
#[derive(Debug)]
pub struct Bench {
    options: BenchOptions,
    device: SelectedDevice,
    pool: rayon::ThreadPool,
    team: Team,
    environment: Environment,
    peaks: OnceLock<Option<Peaks>>,
}

impl Bench {
    /// Opens the device and starts the threads.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSetting`] for no threads, too many, or no samples; an error of the device or of
    /// threads that the system refuses.
    pub fn new(options: BenchOptions) -> Result<Self> {
        check("threads", options.threads, MOST_THREADS, "1 to 1024")?;
        check("repeat", options.repeats, usize::MAX, "1 or more")?;
        let device = select_device(options.device)?;
        Ok(Self {
            pool: thread_pool(options.threads)?,
            team: Team::new(options.threads).map_err(threads_refused(options.threads))?,
            environment: Environment::of(&device),
            device,
            peaks: OnceLock::new(),
            options,
        })
    }

    /// What the device can do at best, measured when it is first asked for; `None` where it cannot be measured.
    pub fn peaks(&self) -> Option<&Peaks> {
        self.peaks.get_or_init(|| self.measure_peaks()).as_ref()
    }

    fn measure_peaks(&self) -> Option<Peaks> {
        if self.device() == "cpu" {
            return Some(Peaks::of_processor(&self.team));
        }
        let peaks = Peaks::of_card(&self.device);
        peaks
            .inspect_err(|error| tracing::warn!(%error, "what the device can do was not measured"))
            .ok()
    }

    /// What the figures were measured with.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Why the models run where they do.
    pub fn why_this_device(&self) -> &str {
        self.device.why()
    }

    /// Where the models run: `cpu`, `cuda:0`, `metal`.
    pub fn device(&self) -> &str {
        self.device.name()
    }

    /// Threads that compute.
    pub fn threads(&self) -> usize {
        self.options.threads
    }

    /// The tier of instructions that the kernels use.
    pub fn isa(&self) -> &'static str {
        longtrainer_kernels::Isa::active().name()
    }

    /// Loads a text model.
    ///
    /// # Errors
    ///
    /// [`BenchError::NoModel`] if there is no such file, and those of the model.
    pub fn text(&self, name: &str, file: &Path) -> Result<TextBench<'_>> {
        TextBench::load(self, name, file)
    }

    /// Loads an embedding model; a graphics card computes in what [`Precision::on_a_card`] says.
    ///
    /// # Errors
    ///
    /// [`BenchError::NoModel`] if there is no such folder, and those of the model.
    pub fn embeddings(
        &self,
        name: &str,
        folder: &Path,
        precision: Precision,
    ) -> Result<EmbeddingBench<'_>> {
        EmbeddingBench::load(self, name, folder, precision)
    }

    /// Loads a vision model; a graphics card computes in what [`Precision::on_a_card`] says.
    ///
    /// # Errors
    ///
    /// [`BenchError::NoModel`] if there is no such file, and those of the models.
    pub fn vision(
        &self,
        name: &str,
        files: VisionFiles<'_>,
        precision: Precision,
    ) -> Result<VisionBench<'_>> {
        VisionBench::load(self, name, files, precision)
    }

    /// Makes up a model of a shape, ready for its tests.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSetting`] or an error of the models if weights of this type do not fit the shape, and those of
    /// the models and of the disk, on which small ones are put for the time of their loading.
    pub fn shape(&self, shape: &Shape, weights: WeightType) -> Result<ShapeBench<'_>> {
        ShapeBench::load(self, shape, weights)
    }

    /// Makes vectors up, ready to be searched.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSetting`] for sizes out of range, and an error of the index when there is no memory.
    pub fn search(&self, size: SearchSize) -> Result<SearchBench<'_>> {
        SearchBench::fill(self, size)
    }

    /// Runs work so that no library under it uses more threads than were asked for: tokenizers and
    /// Candle take those of the pool that they are called in.
    fn bounded<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }
}

fn check(name: &'static str, value: usize, most: usize, expected: &'static str) -> Result<()> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::InvalidSetting {
        name,
        value: value.to_string(),
        expected,
    })
}

fn thread_pool(threads: usize) -> Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    Ok(pool.map_err(threads_refused(threads))?)
}

fn threads_refused<E>(threads: usize) -> impl FnOnce(E) -> BenchError
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |source| BenchError::Threads {
        threads,
        source: Box::new(source),
    }
}

/// Bytes of a model's file.
fn file_size(path: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(path).map_err(|source| BenchError::NoModel {
        path: path.to_owned(),
        source,
    })?;
    Ok(metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_make_no_sense_are_named() {
        let zero_threads = BenchOptions {
            threads: 0,
            ..BenchOptions::default()
        };
        let zero_repeats = BenchOptions {
            repeats: 0,
            ..BenchOptions::default()
        };
        let many_threads = BenchOptions {
            threads: MOST_THREADS + 1,
            ..BenchOptions::default()
        };
        for (options, name) in [
            (zero_threads, "threads is 0"),
            (zero_repeats, "repeat is 0"),
            (many_threads, "threads is 1025"),
        ] {
            let error = Bench::new(options).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }

    #[test]
    fn work_sees_as_many_threads_as_were_asked_for() {
        let pool = thread_pool(3).unwrap();
        assert_eq!(pool.install(rayon::current_num_threads), 3);
    }
}
