//! What can go wrong in the command itself, beside what the library reports.

use std::io;
use std::path::PathBuf;

use longtrainer::ErrorKind;
use longtrainer_server::config::ConfigError;

/// What can go wrong in the command itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CliError {
    /// The settings file is missing, malformed, or cannot be written.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// This user has no data folder.
    #[error("no data folder was found for this user; name one with --data-dir")]
    NoDataDir,
    /// A file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file of a prompt could not be read, or is not text.
    #[error("cannot read the prompt file {}", path.display())]
    PromptFile {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file of a schema could not be read, or is not text.
    #[error("cannot read the schema file {}", path.display())]
    SchemaFile {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file of a schema is not JSON.
    #[error("the schema file {} is not JSON", path.display())]
    SchemaMalformed {
        /// The file.
        path: PathBuf,
        /// Where, and why.
        source: serde_json::Error,
    },
    /// The chat is one with another bot.
    #[error("chat {chat_id} is not one with bot {bot_id}")]
    ChatOfAnotherBot {
        /// The bot named.
        bot_id: String,
        /// The chat named.
        chat_id: String,
    },
    /// Standard input could not be read, or is not text.
    #[error("cannot read the question from standard input")]
    Stdin {
        /// Why it failed.
        source: io::Error,
    },
    /// Something would be deleted, and nobody can be asked.
    #[error("deleting {what} needs --yes where nobody can be asked")]
    NeedsYes {
        /// What would be deleted.
        what: String,
    },
    /// Flags that do not go together.
    #[error("{reason}")]
    Usage {
        /// Which, and why.
        reason: String,
    },
    /// Some files could not be loaded; the others were.
    #[error("{failed} of the files could not be added; the reasons are above")]
    FilesFailed {
        /// How many.
        failed: usize,
    },
    /// No document of the bot came from this file.
    #[error("bot {bot_id} has no document from {source_name:?}")]
    NoSuchSource {
        /// The bot.
        bot_id: String,
        /// The path asked for.
        source_name: String,
    },
    /// A model's files are damaged or missing.
    #[error("{} is not whole: `longtrainer models pull` fetches it again", models.join(", "))]
    ModelsNotWhole {
        /// Their names.
        models: Vec<String>,
    },
    /// A person stopped it.
    #[error("interrupted")]
    Interrupted,
}

impl CliError {
    /// Which kind of error it is, as the library calls them.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(error) => error.kind(),
            Self::NoSuchSource { .. } | Self::ChatOfAnotherBot { .. } => ErrorKind::NotFound,
            Self::NeedsYes { .. }
            | Self::Usage { .. }
            | Self::PromptFile { .. }
            | Self::SchemaFile { .. }
            | Self::SchemaMalformed { .. }
            | Self::Stdin { .. }
            | Self::FilesFailed { .. } => ErrorKind::InvalidInput,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::InvalidData => {
                ErrorKind::InvalidInput
            }
            Self::ModelsNotWhole { .. } => ErrorKind::Unavailable,
            Self::NoDataDir | Self::Io { .. } | Self::Interrupted => ErrorKind::Internal,
        }
    }

    /// Wraps an error of the file system about `path`.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
