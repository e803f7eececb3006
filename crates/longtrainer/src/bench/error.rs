//! What can go wrong in a benchmark beside what the models report.

use std::path::PathBuf;

use crate::error::ErrorKind;

/// What can go wrong in a benchmark.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// No test has this name.
    #[error("there is no test {name:?}; tests are named {expected}")]
    UnknownTest {
        /// What was asked for.
        name: String,
        /// How names are made.
        expected: &'static str,
    },
    /// No shape has this name.
    #[error("there is no shape {name:?}; shapes are {expected}")]
    UnknownShape {
        /// What was asked for.
        name: String,
        /// The names there are.
        expected: &'static str,
    },
    /// A test of another kind of model.
    #[error("test {test} is of another kind of model than {model}")]
    OtherKind {
        /// The test.
        test: String,
        /// The model.
        model: String,
    },
    /// A test needs more tokens than the model takes.
    #[error("test {test} needs {tokens} tokens, but model {model:?} takes at most {limit}")]
    TooLong {
        /// The test.
        test: String,
        /// The model.
        model: String,
        /// Tokens that the test needs together.
        tokens: usize,
        /// Tokens that the model takes.
        limit: usize,
    },
    /// There is no model where one should be.
    #[error("there is no model at {}", path.display())]
    NoModel {
        /// The file looked for.
        path: PathBuf,
        /// Why it could not be found.
        source: std::io::Error,
    },
    /// A file of texts could not be read.
    #[error("cannot read the texts in {}", path.display())]
    UnreadableTexts {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file of texts holds something else.
    #[error("{} is not a JSON array of strings", path.display())]
    NotTexts {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// There is nothing to embed.
    #[error("there are no texts to embed")]
    NoTexts,
    /// The system refused threads.
    #[error("cannot start {threads} threads")]
    Threads {
        /// How many.
        threads: usize,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl BenchError {
    /// Which kind of error it is.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownTest { .. }
            | Self::UnknownShape { .. }
            | Self::OtherKind { .. }
            | Self::TooLong { .. }
            | Self::UnreadableTexts { .. }
            | Self::NotTexts { .. }
            | Self::NoTexts => ErrorKind::InvalidInput,
            Self::NoModel { .. } => ErrorKind::Unavailable,
            Self::Threads { .. } => ErrorKind::Internal,
        }
    }
}
