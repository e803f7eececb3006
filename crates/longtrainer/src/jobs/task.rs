//! What a job has to do, as it is written down.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ids::BotId;

/// What a job has to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobTask {
    /// Reads files into a bot. If one of them cannot be read, none is added.
    Ingest {
        /// The bot.
        bot_id: BotId,
        /// Where its documents come from.
        sources: Vec<IngestSource>,
        /// A document that the new ones take the place of, with all others of the same file.
        #[serde(default)]
        replaces: Option<u64>,
        /// Whether the bot is built afterwards.
        #[serde(default)]
        build: bool,
    },
    /// Makes every waiting document of a bot searchable.
    Build {
        /// The bot.
        bot_id: BotId,
    },
    /// Embeds all documents of a bot again.
    Reindex {
        /// The bot.
        bot_id: BotId,
        /// The embedding model from now on; `None` keeps the present one.
        #[serde(default)]
        embedding_model: Option<String>,
    },
    /// Adds what was asked and answered to a bot's documents, and builds.
    Train {
        /// The bot.
        bot_id: BotId,
    },
    /// Fetches a model of the registry, with the text model that it needs, if it needs one.
    Pull {
        /// Its name.
        model: String,
    },
}

/// Where documents come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
#[non_exhaustive]
pub enum IngestSource {
    /// A file of this machine.
    Path {
        /// Its path.
        path: PathBuf,
    },
    /// A page or file of the web.
    Link {
        /// Its address.
        url: String,
    },
    /// A file that was sent in; see [`Upload`](crate::Upload).
    Upload {
        /// The upload.
        upload: String,
        /// Its place in the upload, from 0.
        number: usize,
        /// What its sender calls it.
        name: String,
    },
}

impl JobTask {
    /// The kind of work, as listings call it.
    pub fn kind(&self) -> &'static str {
        match self {
            // The documented name.
            Self::Ingest { .. } => "document_ingest",
            Self::Build { .. } => "build",
            Self::Reindex { .. } => "reindex",
            Self::Train { .. } => "train_chats",
            Self::Pull { .. } => "model_pull",
        }
    }

    /// The bot that it is done for.
    pub fn bot_id(&self) -> Option<&BotId> {
        match self {
            Self::Ingest { bot_id, .. }
            | Self::Build { bot_id }
            | Self::Reindex { bot_id, .. }
            | Self::Train { bot_id } => Some(bot_id),
            Self::Pull { .. } => None,
        }
    }

    /// The upload that its files are in, if they are in one.
    pub(crate) fn upload(&self) -> Option<&str> {
        let Self::Ingest { sources, .. } = self else {
            return None;
        };
        sources.iter().find_map(|source| match source {
            IngestSource::Upload { upload, .. } => Some(upload.as_str()),
            IngestSource::Path { .. } | IngestSource::Link { .. } => None,
        })
    }
}
