//! `bench`: how fast this machine runs the models, and how much of the machine that takes. The data
//! folder is not touched.

mod report;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use longtrainer::bench::{
    Bench, BenchError, BenchOptions, EmbeddingTest, Measurement, TextTest, read_texts,
};
use longtrainer::models::{LocalModel, Role};

use crate::error::CliError;
use crate::model_files::pull;
use crate::session::Session;

use report::Form;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BenchFlags {
    /// Which models; without it, the default models of both kinds
    #[command(subcommand)]
    part: Option<BenchPart>,
    #[command(flatten)]
    how: HowFlags,
}

#[derive(Debug, Subcommand)]
enum BenchPart {
    /// Measure a text model
    Text(TextFlags),
    /// Measure an embedding model
    Embeddings(EmbeddingFlags),
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
    #[command(flatten)]
    how: HowFlags,
}

#[derive(Debug, Clone, Copy, Default, Args)]
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
}

pub(crate) fn run(flags: BenchFlags, mut session: Session) -> anyhow::Result<()> {
    let (text, embeddings) = match flags.part {
        None => (Some(TextFlags::default()), Some(EmbeddingFlags::default())),
        Some(BenchPart::Text(flags)) => (Some(flags), None),
        Some(BenchPart::Embeddings(flags)) => (None, Some(flags)),
    };
    let parts = [
        text.as_ref().map(|f| f.how),
        embeddings.as_ref().map(|f| f.how),
    ];
    let how = match parts {
        [Some(how), None] | [None, Some(how)] => how,
        _ => flags.how,
    };
    // What is missing is said before anything takes time.
    let text = text
        .map(|flags| TextPlan::new(flags, &session))
        .transpose()?;
    let embeddings = embeddings
        .map(|flags| EmbeddingPlan::new(flags, &session))
        .transpose()?;
    let bench = Bench::new(how.options(&session))?;
    let mut measurements = Vec::new();
    if let Some(plan) = text {
        measurements.extend(plan.measure(&bench, &session)?);
    }
    if let Some(plan) = embeddings {
        measurements.extend(plan.measure(&bench, &session)?);
    }
    report::print(&mut session.output, how.form(), &bench, &measurements)
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

/// A text model that is here, and its tests.
struct TextPlan {
    name: String,
    file: PathBuf,
    tests: Vec<TextTest>,
}

impl TextPlan {
    fn new(flags: TextFlags, session: &Session) -> anyhow::Result<Self> {
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

    fn measure(self, bench: &Bench, session: &Session) -> anyhow::Result<Vec<Measurement>> {
        let mut model = bench.text(&self.name, &self.file)?;
        let tests = chosen_tests(self.tests, &TextTest::USUAL, session, |test| {
            model.check(*test)
        })?;
        let measured = tests.into_iter().map(|test| {
            session.notes.detail(format_args!("measuring {test}"));
            Ok(model.measure(test)?)
        });
        measured.collect()
    }
}

/// An embedding model that is here, its tests, and the texts to embed.
struct EmbeddingPlan {
    name: String,
    folder: PathBuf,
    tests: Vec<EmbeddingTest>,
    texts: Option<Vec<String>>,
}

impl EmbeddingPlan {
    fn new(flags: EmbeddingFlags, session: &Session) -> anyhow::Result<Self> {
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
        })
    }

    fn measure(self, bench: &Bench, session: &Session) -> anyhow::Result<Vec<Measurement>> {
        let model = bench.embeddings(&self.name, &self.folder)?;
        let usual: &[EmbeddingTest] = match self.texts {
            Some(_) => &[],
            None => &EmbeddingTest::USUAL,
        };
        let tests = chosen_tests(self.tests, usual, session, |test| model.check(*test))?;
        let mut measurements = Vec::new();
        for test in tests {
            session.notes.detail(format_args!("measuring {test}"));
            measurements.push(model.measure(test)?);
        }
        if let Some(texts) = &self.texts {
            session.notes.detail("measuring texts");
            measurements.push(model.measure_texts(texts)?);
        }
        Ok(measurements)
    }
}

/// The tests asked for, which must all fit the model, or those of the usual ones that do.
fn chosen_tests<T: Copy>(
    asked: Vec<T>,
    usual: &[T],
    session: &Session,
    check: impl Fn(&T) -> Result<(), BenchError>,
) -> longtrainer::Result<Vec<T>> {
    if !asked.is_empty() {
        asked.iter().try_for_each(check)?;
        return Ok(asked);
    }
    let fits = |test: &T| match check(test) {
        Ok(()) => true,
        Err(problem) => {
            session.notes.warn(format_args!("left out: {problem}"));
            false
        }
    };
    Ok(usual.iter().copied().filter(fits).collect())
}

/// How a model was chosen.
enum Chosen {
    Path(PathBuf),
    Named(String),
}

impl Chosen {
    /// As elsewhere, a name that is a path means what is there.
    fn of(name: String) -> Self {
        match Path::new(&name).exists() {
            true => Self::Path(name.into()),
            false => Self::Named(name),
        }
    }

    fn or_default(setting: Option<String>, role: Role, session: &Session) -> anyhow::Result<Self> {
        if let Some(name) = setting {
            return Ok(Self::of(name));
        }
        let registry = session.registry()?;
        match registry.default_for(role) {
            Some(entry) => Ok(Self::Named(entry.name.clone())),
            None => Err(longtrainer::Error::NoDefaultModel { role }.into()),
        }
    }

    /// Name and place; fetches a model of the registry if it is not here.
    fn place(
        self,
        session: &Session,
        place: impl Fn(&LocalModel) -> PathBuf,
    ) -> anyhow::Result<(String, PathBuf)> {
        match self {
            Self::Path(path) => {
                let absolute = std::path::absolute(&path)
                    .map_err(CliError::io("find the folder of", &path))?;
                let name = absolute.file_name().unwrap_or(absolute.as_os_str());
                Ok((name.to_string_lossy().into_owned(), path))
            }
            Self::Named(name) => {
                let local = pull(&session.registry()?, &name, session.notes)?;
                Ok((name, place(&local)))
            }
        }
    }
}
