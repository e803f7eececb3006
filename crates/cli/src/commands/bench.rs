//! `bench`: how fast this machine runs the models, and how much of the machine that takes. The data
//! folder is not touched.

mod chart;
mod model;
mod plan;
mod report;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use longtrainer::Precision;
use longtrainer::bench::{
    Bench, BenchOptions, EmbeddingTest, Measurement, SHAPE_NAMES, Shape, ShapeTest, TextTest,
    WeightType,
};

use crate::session::Session;

use plan::{EmbeddingPlan, ShapePlan, TextPlan, VisionPlan};
use report::Form;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BenchFlags {
    /// Which models; without it, the default models of all kinds
    #[command(subcommand)]
    part: Option<BenchPart>,
    #[command(flatten)]
    shapes: ShapeFlags,
    #[command(flatten)]
    how: HowFlags,
}

#[derive(Debug, Subcommand)]
enum BenchPart {
    /// Measure a text model
    Text(TextFlags),
    /// Measure an embedding model
    Embeddings(EmbeddingFlags),
    /// Measure a vision model: frames a second, and the wait for the first word about a picture
    Vision(VisionFlags),
    /// Measure exact search: many queries at once over many vectors
    Search(SearchFlags),
}

#[derive(Debug, Default, Args)]
struct ShapeFlags {
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help = shape_help())]
    shape: Vec<Shape>,
    /// What a made-up text model's weights are in: f32, bf16, f16, q8_0, q4_1 or q4_k [default: bf16]
    #[arg(long, value_name = "TYPE", requires = "shape")]
    weights: Option<WeightType>,
    /// Tests: ppN reads N tokens, BxtgN makes N tokens in B contexts, xL embeds rows of L tokens, as many
    /// as are fastest together, frame passes a frame through a vision tower [default: those that fit]
    #[arg(long, value_name = "TESTS", value_delimiter = ',', requires = "shape")]
    tests: Vec<ShapeTest>,
}

#[derive(Debug, Default, Args)]
struct SearchFlags {
    /// Vectors to search among [default: 1000000]
    #[arg(long, value_name = "N")]
    vectors: Option<usize>,
    /// Components of a vector [default: 384]
    #[arg(long, value_name = "N")]
    dimension: Option<usize>,
    /// Queries at once [default: 64]
    #[arg(long, value_name = "N")]
    queries: Option<usize>,
    #[command(flatten)]
    how: HowFlags,
}

#[derive(Debug, Default, Args)]
struct TextFlags {
    /// Text model: a registry name
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Text model: a GGUF file
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    model_file: Option<PathBuf>,
    /// Tests: ppN reads N tokens, tgN makes N tokens, tgN@D does so after D tokens
    /// [default: pp512,pp2048,tg128,tg128@2048]
    #[arg(long, value_name = "TESTS", value_delimiter = ',')]
    tests: Vec<TextTest>,
    #[command(flatten)]
    how: HowFlags,
}

#[derive(Debug, Default, Args)]
struct EmbeddingFlags {
    /// Embedding model: a registry name
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Embedding model: a folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "model")]
    model_folder: Option<PathBuf>,
    /// Tests: BxL embeds B rows of exactly L tokens [default: 1x16,1x128,32x128,32x256]
    #[arg(long, value_name = "TESTS", value_delimiter = ',')]
    tests: Vec<EmbeddingTest>,
    /// Embed the texts of a file, a JSON array of strings, tokenising included; other tests only if
    /// asked for
    #[arg(long, value_name = "FILE")]
    texts: Option<PathBuf>,
    /// What products are computed in on the processor [default: what bots use]
    #[arg(long, value_name = "KIND")]
    precision: Option<PrecisionFlag>,
    #[command(flatten)]
    how: HowFlags,
}

#[derive(Debug, Default, Args)]
struct VisionFlags {
    /// Vision model: a registry name, or a folder as published on the hub
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// What products are computed in on the processor [default: what bots use]
    #[arg(long, value_name = "KIND")]
    precision: Option<PrecisionFlag>,
    #[command(flatten)]
    how: HowFlags,
}

#[derive(Debug, Clone, Default, Args)]
struct HowFlags {
    /// Threads that compute [default: those that this machine gives the program]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Samples of each test; the median and the ends are shown [default: 5]
    #[arg(long, value_name = "N")]
    repeat: Option<usize>,
    /// Print CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write a chart of what was reached to this file, too
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PrecisionFlag {
    F32,
    Bf16,
    Mixed,
    Int8,
}

impl From<PrecisionFlag> for Precision {
    fn from(flag: PrecisionFlag) -> Self {
        match flag {
            PrecisionFlag::F32 => Self::F32,
            PrecisionFlag::Bf16 => Self::Bf16,
            PrecisionFlag::Mixed => Self::Mixed,
            PrecisionFlag::Int8 => Self::Int8,
        }
    }
}

fn shape_help() -> String {
    format!("Measure made-up models of these shapes instead, with no download: {SHAPE_NAMES}")
}

pub(crate) fn run(flags: BenchFlags, mut session: Session) -> anyhow::Result<()> {
    let asked = flags.split();
    let bench = Bench::new(asked.how.options(&session))?;
    let how = asked.how.clone();
    if let Some(file) = &how.svg {
        chart::check(file)?;
    }
    let measurements = asked.measure(&bench, &session)?;
    report::print(&mut session.output, how.form(), &bench, &measurements)?;
    match &how.svg {
        Some(file) => chart::write(file, &bench, &measurements),
        None => Ok(()),
    }
}

/// What is asked of models of each kind, and how.
#[derive(Debug, Default)]
struct Asked {
    text: Option<TextFlags>,
    embeddings: Option<EmbeddingFlags>,
    vision: Option<VisionFlags>,
    search: Option<SearchFlags>,
    shapes: Option<ShapeFlags>,
    how: HowFlags,
}

impl Asked {
    fn measure(self, bench: &Bench, session: &Session) -> anyhow::Result<Vec<Measurement>> {
        // What is missing is said before anything takes time.
        let text = self.text.map(|flags| TextPlan::new(flags, session));
        let text = text.transpose()?;
        let embeddings = self.embeddings;
        let embeddings = embeddings.map(|flags| EmbeddingPlan::new(flags, session));
        let embeddings = embeddings.transpose()?;
        let vision = self.vision.map(|flags| VisionPlan::new(flags, session));
        let vision = vision.transpose()?;
        let (mut measurements, notes) = (Vec::new(), session.notes);
        if let Some(plan) = text {
            measurements.extend(plan.measure(bench, notes)?);
        }
        if let Some(plan) = embeddings {
            measurements.extend(plan.measure(bench, notes)?);
        }
        if let Some(plan) = vision {
            measurements.extend(plan.measure(bench, notes)?);
        }
        if let Some(flags) = self.shapes {
            measurements.extend(ShapePlan::new(flags)?.measure(bench, notes)?);
        }
        if let Some(flags) = self.search {
            measurements.push(plan::measure_search(&flags, bench, notes)?);
        }
        Ok(measurements)
    }
}

impl BenchFlags {
    fn split(self) -> Asked {
        match self.part {
            None if !self.shapes.shape.is_empty() => Asked {
                shapes: Some(self.shapes),
                how: self.how,
                ..Asked::default()
            },
            None => Asked {
                text: Some(TextFlags::default()),
                embeddings: Some(EmbeddingFlags::default()),
                vision: Some(VisionFlags::default()),
                how: self.how,
                ..Asked::default()
            },
            Some(BenchPart::Text(flags)) => Asked {
                how: flags.how.clone(),
                text: Some(flags),
                ..Asked::default()
            },
            Some(BenchPart::Embeddings(flags)) => Asked {
                how: flags.how.clone(),
                embeddings: Some(flags),
                ..Asked::default()
            },
            Some(BenchPart::Vision(flags)) => Asked {
                how: flags.how.clone(),
                vision: Some(flags),
                ..Asked::default()
            },
            Some(BenchPart::Search(flags)) => Asked {
                how: flags.how.clone(),
                search: Some(flags),
                ..Asked::default()
            },
        }
    }
}

impl HowFlags {
    fn options(&self, session: &Session) -> BenchOptions {
        let usual = BenchOptions::default();
        BenchOptions {
            threads: self.threads.unwrap_or(usual.threads),
            device: session.places.device,
            repeats: self.repeat.unwrap_or(usual.repeats),
        }
    }

    fn form(&self) -> Form {
        match (self.json, self.csv) {
            (true, _) => Form::Json,
            (_, true) => Form::Csv,
            _ => Form::Table,
        }
    }
}
