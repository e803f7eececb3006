//! Which model to load and how its engine is set: the flags that `serving` and `soak` share.

use std::path::PathBuf;

use anyhow::{Context, Result};
use longtrainer_inference::{EngineOptions, GgufTextModel, TextModelOptions};

/// A text model and its engine, as a command line names them.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct EngineFlags {
    /// The GGUF file of the model
    #[arg(long, value_name = "FILE")]
    pub model_file: PathBuf,
    /// Threads of a step; all of the processor's if not given
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Tokens that prompt and answer may have together; the model's own limit if not given
    #[arg(long, value_name = "TOKENS")]
    pub context_length: Option<usize>,
    /// Most requests that are answered at once
    #[arg(long, value_name = "N")]
    pub max_batch: Option<usize>,
    /// Most requests that may wait
    #[arg(long, value_name = "N")]
    pub queue_limit: Option<usize>,
    /// Tokens of prompts that are read in a step
    #[arg(long, value_name = "TOKENS")]
    pub chunk_tokens: Option<usize>,
    /// Memory for keys and values, in bytes
    #[arg(long, value_name = "BYTES")]
    pub cache_bytes: Option<usize>,
    /// Whether tokens are guessed from the text so far
    #[arg(long, value_name = "BOOL", value_parser = clap::value_parser!(bool))]
    pub speculation: Option<bool>,
}

impl EngineFlags {
    /// Loads the model as the flags say.
    ///
    /// # Errors
    ///
    /// Those of the model.
    pub fn load(&self) -> Result<GgufTextModel> {
        let path = &self.model_file;
        let name = path.file_stem().unwrap_or(path.as_os_str());
        GgufTextModel::load(&name.to_string_lossy(), path, &self.options())
            .with_context(|| format!("cannot load {}", path.display()))
    }

    fn options(&self) -> TextModelOptions {
        let base = EngineOptions::default();
        TextModelOptions {
            threads: self.threads,
            context_length: self.context_length,
            engine: EngineOptions {
                max_batch: self.max_batch.unwrap_or(base.max_batch),
                queue_limit: self.queue_limit.unwrap_or(base.queue_limit),
                chunk_tokens: self.chunk_tokens.unwrap_or(base.chunk_tokens),
                cache_bytes: self.cache_bytes.or(base.cache_bytes),
                speculation: self.speculation.unwrap_or(base.speculation),
                ..base
            },
            ..TextModelOptions::default()
        }
    }
}
