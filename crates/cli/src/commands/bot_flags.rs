//! The settings of a bot as flags, the same for making and for changing one.

use std::path::PathBuf;

use clap::Args;
use longtrainer::BotOptions;

use crate::error::CliError;

#[derive(Debug, Args)]
pub(crate) struct BotFlags {
    /// System prompt with a {context} placeholder for the passages
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt_file")]
    prompt: Option<String>,
    /// File that holds the system prompt
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,
    /// Passages per retrieval
    #[arg(long, value_name = "N")]
    num_k: Option<usize>,
    /// Search for a question in other words, too: slower, finds more
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    ensemble: Option<bool>,
    /// Most characters in one chunk of a document
    #[arg(long, value_name = "N")]
    chunk_size: Option<usize>,
    /// Characters that neighbouring chunks share
    #[arg(long, value_name = "N")]
    chunk_overlap: Option<usize>,
    /// Text model: a registry name or the path of a GGUF file
    #[arg(long, value_name = "MODEL")]
    text_model: Option<String>,
    /// Embedding model: a registry name or a folder
    #[arg(long, value_name = "MODEL")]
    embedding_model: Option<String>,
    /// Vision model: a registry name or a path
    #[arg(long, value_name = "MODEL")]
    vision_model: Option<String>,
    /// Keep copies of the pictures of vision chats
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    keep_pictures: Option<bool>,
}

impl BotFlags {
    /// Reads the prompt file, if one is named.
    pub(crate) fn into_options(self) -> Result<BotOptions, CliError> {
        let prompt_template = match self.prompt_file {
            Some(path) => Some(
                std::fs::read_to_string(&path)
                    .map_err(|source| CliError::PromptFile { path, source })?,
            ),
            None => self.prompt,
        };
        Ok(BotOptions {
            prompt_template,
            num_k: self.num_k,
            ensemble: self.ensemble,
            chunk_size: self.chunk_size,
            chunk_overlap: self.chunk_overlap,
            text_model: self.text_model,
            embedding_model: self.embedding_model,
            vision_model: self.vision_model,
            keep_pictures: self.keep_pictures,
        })
    }
}
