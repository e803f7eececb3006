//! What is measured: a model that is here, and the tests that fit it.

use std::path::PathBuf;

use longtrainer::InferenceError;
use longtrainer::Precision;
use longtrainer::VisionParts;
use longtrainer::bench::{
    Bench, BenchError, EmbeddingTest, Measurement, SearchSize, Shape, ShapeTest, TextTest,
    VisionFiles, WeightType, read_texts,
};
use longtrainer::models::{LocalModel, Role};

use crate::notes::Notes;
use crate::session::Session;

use super::model::Chosen;
use super::{EmbeddingFlags, SearchFlags, ShapeFlags, TextFlags, VisionFlags};

/// A text model that is here, and its tests.
pub(super) struct TextPlan {
    name: String,
    file: PathBuf,
    tests: Vec<TextTest>,
}

impl TextPlan {
    pub(super) fn new(flags: TextFlags, session: &Session) -> anyhow::Result<Self> {
        let chosen = match (flags.model_file, flags.model) {
            (Some(file), _) => Chosen::Path(file),
            (None, Some(name)) => Chosen::of(name),
            _ => {
                let defaults = session.places.settings()?.defaults;
                Chosen::or_default(defaults.text_model, Role::Text, session)?
            }
        };
        let (name, file) = chosen.place(session, LocalModel::main_file)?;
        Ok(Self {
            name,
            file,
            tests: flags.tests,
        })
    }

    pub(super) fn measure(self, bench: &Bench, notes: Notes) -> anyhow::Result<Vec<Measurement>> {
        let mut model = bench.text(&self.name, &self.file)?;
        let tests = chosen_tests(self.tests, &TextTest::USUAL, notes, |test| {
            model.check(*test)
        })?;
        let measured = tests.into_iter().map(|test| {
            notes.detail(format_args!("measuring {test}"));
            Ok(model.measure(test)?)
        });
        measured.collect()
    }
}

/// An embedding model that is here, its tests, and the texts to embed.
pub(super) struct EmbeddingPlan {
    name: String,
    folder: PathBuf,
    tests: Vec<EmbeddingTest>,
    texts: Option<Vec<String>>,
    precision: Precision,
}

impl EmbeddingPlan {
    pub(super) fn new(flags: EmbeddingFlags, session: &Session) -> anyhow::Result<Self> {
        let chosen = match (flags.model_folder, flags.model) {
            (Some(folder), _) => Chosen::Path(folder),
            (None, Some(name)) => Chosen::of(name),
            _ => {
                let defaults = session.places.settings()?.defaults;
                Chosen::or_default(defaults.embedding_model, Role::Embedding, session)?
            }
        };
        let texts = flags.texts.as_deref().map(read_texts).transpose()?;
        let (name, folder) = chosen.place(session, |model| model.folder.clone())?;
        Ok(Self {
            name,
            folder,
            tests: flags.tests,
            texts,
            precision: flags
                .precision
                .map_or_else(Precision::default, Precision::from),
        })
    }

    pub(super) fn measure(self, bench: &Bench, notes: Notes) -> anyhow::Result<Vec<Measurement>> {
        let model = bench.embeddings(&self.name, &self.folder, self.precision)?;
        let usual: &[EmbeddingTest] = match self.texts {
            Some(_) => &[],
            None => &EmbeddingTest::USUAL,
        };
        let tests = chosen_tests(self.tests, usual, notes, |test| model.check(*test))?;
        let mut measurements = Vec::new();
        for test in tests {
            notes.detail(format_args!("measuring {test}"));
            measurements.push(model.measure(test)?);
        }
        if let Some(texts) = &self.texts {
            notes.detail("measuring texts");
            measurements.push(model.measure_texts(texts)?);
        }
        Ok(measurements)
    }
}

/// A vision model whose parts are here.
pub(super) struct VisionPlan {
    name: String,
    parts: VisionParts,
    text: PathBuf,
    precision: Precision,
}

impl VisionPlan {
    pub(super) fn new(flags: VisionFlags, session: &Session) -> anyhow::Result<Self> {
        let chosen = match flags.model {
            Some(name) => Chosen::of(name),
            None => {
                let defaults = session.places.settings()?.defaults;
                Chosen::or_default(defaults.vision_model, Role::Vision, session)?
            }
        };
        let (name, folder) = chosen.place(session, |model| model.folder.clone())?;
        let registry = session.registry()?;
        let parts = match registry.entry(&name) {
            Ok(_) => VisionParts::locate(&registry, &name)?,
            Err(_) => VisionParts::locate(&registry, &folder.display().to_string())?,
        };
        let (_, text) = Chosen::of(parts.text.clone()).place(session, LocalModel::main_file)?;
        Ok(Self {
            name,
            parts,
            text,
            precision: flags
                .precision
                .map_or(longtrainer::TOWER_PRECISION, Precision::from),
        })
    }

    pub(super) fn measure(self, bench: &Bench, notes: Notes) -> anyhow::Result<Vec<Measurement>> {
        let files = VisionFiles {
            vision: &self.parts.vision,
            text: &self.text,
            adapter: self.parts.adapter.as_deref(),
        };
        let model = bench.vision(&self.name, files, self.precision)?;
        notes.detail("measuring frames");
        let frames = model.measure_frames()?;
        notes.detail("measuring the first token");
        Ok(vec![frames, model.measure_first_token()?])
    }
}

/// Made-up models, and their tests.
pub(super) struct ShapePlan {
    shapes: Vec<Shape>,
    weights: WeightType,
    tests: Vec<ShapeTest>,
}

impl ShapePlan {
    /// Each shape takes the tests of its kind; a test of none of them is refused.
    pub(super) fn new(flags: ShapeFlags) -> anyhow::Result<Self> {
        let names = || flags.shape.iter().map(ToString::to_string);
        let is_of_none = |test: &&ShapeTest| !flags.shape.iter().any(|shape| shape.can(**test));
        if let Some(test) = flags.tests.iter().find(is_of_none) {
            let other_kind = BenchError::OtherKind {
                test: test.to_string(),
                model: names().collect::<Vec<_>>().join(", "),
            };
            return Err(longtrainer::Error::from(other_kind).into());
        }
        Ok(Self {
            shapes: flags.shape,
            weights: flags.weights.unwrap_or_default(),
            tests: flags.tests,
        })
    }

    pub(super) fn measure(self, bench: &Bench, notes: Notes) -> anyhow::Result<Vec<Measurement>> {
        let mut measurements = Vec::new();
        let is_asked =
            |shape: &Shape| self.tests.is_empty() || self.tests.iter().any(|test| shape.can(*test));
        for shape in self.shapes.iter().filter(|shape| is_asked(shape)) {
            notes.detail(format_args!("making {shape} up"));
            let mut model = bench.shape(shape, self.weights)?;
            let usual = model.usual();
            let own = self.tests.iter().copied().filter(|test| shape.can(*test));
            let tests = chosen_tests(own.collect(), &usual, notes, |test| model.check(*test))?;
            for test in tests {
                notes.detail(format_args!("measuring {test}"));
                match model.measure(test) {
                    Ok(measurement) => measurements.push(measurement),
                    // What was measured before it is worth having.
                    Err(longtrainer::Error::Inference(
                        full @ InferenceError::DeviceMemory { .. },
                    )) => {
                        notes.warn(format_args!("left out: {test} of {shape}: {full}"));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(measurements)
    }
}

/// Search among made-up vectors.
pub(super) fn measure_search(
    flags: &SearchFlags,
    bench: &Bench,
    notes: Notes,
) -> anyhow::Result<Measurement> {
    let usual = SearchSize::default();
    let size = SearchSize {
        vectors: flags.vectors.unwrap_or(usual.vectors),
        dimension: flags.dimension.unwrap_or(usual.dimension),
        queries: flags.queries.unwrap_or(usual.queries),
    };
    notes.detail(format_args!("making {} vectors up", size.vectors));
    let search = bench.search(size)?;
    notes.detail("measuring search");
    Ok(search.measure()?)
}

/// The tests asked for, which must all fit the model, or those of the usual ones that do.
fn chosen_tests<T: Copy>(
    asked: Vec<T>,
    usual: &[T],
    notes: Notes,
    check: impl Fn(&T) -> Result<(), BenchError>,
) -> longtrainer::Result<Vec<T>> {
    if !asked.is_empty() {
        asked.iter().try_for_each(check)?;
        return Ok(asked);
    }
    let fits = |test: &T| match check(test) {
        Ok(()) => true,
        Err(problem) => {
            notes.warn(format_args!("left out: {problem}"));
            false
        }
    };
    Ok(usual.iter().copied().filter(fits).collect())
}
