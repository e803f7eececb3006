//! `init`: writes a settings file from flags and defaults, and asks nothing.

use clap::Args;
use longtrainer::{Chunking, DEFAULT_CHUNKING, Defaults};
use longtrainer::{
    DEFAULT_MAX_ANSWER_TOKENS, DEFAULT_MAX_PICTURES, DEFAULT_MAX_TOKEN_LIMIT, DEFAULT_NUM_K,
};
use longtrainer_server::DEFAULT_PORT;
use longtrainer_server::config::{Config, Host, ServeSection};

use crate::flags::SamplingFlags;
use crate::session::Session;
use crate::settings::absolute;

#[derive(Debug, Args)]
pub(crate) struct InitFlags {
    /// Text model: a registry name or the path of a GGUF file [default: the registry's]
    #[arg(long, value_name = "MODEL")]
    text_model: Option<String>,
    /// Embedding model: a registry name or a folder [default: the registry's]
    #[arg(long, value_name = "MODEL")]
    embedding_model: Option<String>,
    /// Vision model: a registry name or a path [default: the registry's]
    #[arg(long, value_name = "MODEL")]
    vision_model: Option<String>,
    /// Keep no copies of the pictures of vision chats
    #[arg(long)]
    no_keep_pictures: bool,
    /// Most pictures in one question
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_PICTURES)]
    max_pictures: usize,
    /// Passages per retrieval
    #[arg(long, value_name = "N", default_value_t = DEFAULT_NUM_K)]
    num_k: usize,
    /// Search for a question in other words, too: slower, finds more
    #[arg(long)]
    ensemble: bool,
    /// Most characters in one chunk of a document
    #[arg(long, value_name = "N", default_value_t = DEFAULT_CHUNKING.chunk_size)]
    chunk_size: usize,
    /// Characters that neighbouring chunks share
    #[arg(long, value_name = "N", default_value_t = DEFAULT_CHUNKING.chunk_overlap)]
    chunk_overlap: usize,
    /// Most tokens of a prompt, history included
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_TOKEN_LIMIT)]
    max_token_limit: usize,
    /// Most tokens of an answer
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_ANSWER_TOKENS)]
    max_answer_tokens: usize,
    /// Address that `serve` listens on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: Host,
    /// Port that `serve` listens on
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PORT)]
    port: u16,
    #[command(flatten)]
    sampling: SamplingFlags,
    /// Overwrite a file that is there
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(flags: InitFlags, mut session: Session) -> anyhow::Result<()> {
    let serve = ServeSection {
        host: Some(flags.host),
        port: Some(flags.port),
        ..ServeSection::default()
    };
    let force = flags.force;
    let defaults = flags.into_defaults();
    defaults.check()?;
    let path = absolute(&session.places.config);
    Config::from_defaults(&defaults, serve).write(&path, force)?;
    session.output.line(&path.display().to_string())?;
    session.notes.say("Next: longtrainer bot create");
    Ok(())
}

impl InitFlags {
    fn into_defaults(self) -> Defaults {
        Defaults {
            num_k: self.num_k,
            ensemble: self.ensemble,
            chunking: Chunking {
                chunk_size: self.chunk_size,
                chunk_overlap: self.chunk_overlap,
            },
            max_token_limit: self.max_token_limit,
            max_answer_tokens: self.max_answer_tokens,
            sampling: self.sampling.over(&Defaults::default().sampling),
            text_model: self.text_model,
            embedding_model: self.embedding_model,
            vision_model: self.vision_model,
            keep_pictures: !self.no_keep_pictures,
            max_pictures: self.max_pictures,
            ..Defaults::default()
        }
    }
}
