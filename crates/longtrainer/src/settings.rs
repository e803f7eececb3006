//! What a whole installation is set to; a bot's own settings win over these.

use std::path::PathBuf;

use longtrainer_inference::Sampling;
use longtrainer_store::Chunking;

use crate::error::{Error, Result};
use crate::prompt::{DEFAULT_PROMPT_TEMPLATE, PromptTemplate};

/// Passages per retrieval, unless told otherwise: the documented `num_k`.
pub const DEFAULT_NUM_K: usize = 3;
/// Characters of a chunk and characters that neighbours share, unless told otherwise.
pub const DEFAULT_CHUNKING: Chunking = Chunking {
    chunk_size: 2048,
    chunk_overlap: 200,
};
/// Most tokens of a prompt, unless told otherwise; the model's own context still holds.
pub const DEFAULT_MAX_TOKEN_LIMIT: usize = 32_000;
/// Most pictures in one question, unless told otherwise.
pub const DEFAULT_MAX_PICTURES: usize = 16;
/// Most tokens of an answer, unless told otherwise.
pub const DEFAULT_MAX_ANSWER_TOKENS: usize = 512;

/// The defaults that every bot starts from.
#[derive(Debug, Clone, PartialEq)]
pub struct Defaults {
    /// System prompt with a `{context}` placeholder.
    pub prompt_template: String,
    /// Passages per retrieval.
    pub num_k: usize,
    /// Whether a question is also searched for in other words, which the text model writes first.
    pub ensemble: bool,
    /// How documents are split.
    pub chunking: Chunking,
    /// Most tokens of a prompt: history is trimmed to it from the oldest turn.
    pub max_token_limit: usize,
    /// Most tokens of an answer.
    pub max_answer_tokens: usize,
    /// How the text model chooses tokens: the likeliest, with a little against repetition.
    pub sampling: Sampling,
    /// Registry name or `.gguf` path of the text model; `None` is the registry's default.
    pub text_model: Option<String>,
    /// Registry name or folder of the embedding model; `None` is the registry's default.
    pub embedding_model: Option<String>,
    /// Registry name or path of the vision model; `None` is the registry's default.
    pub vision_model: Option<String>,
    /// Whether copies of the pictures of vision chats are kept, so that a file that was moved does not
    /// break a chat.
    pub keep_pictures: bool,
    /// Most pictures in one question.
    pub max_pictures: usize,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            prompt_template: DEFAULT_PROMPT_TEMPLATE.to_owned(),
            num_k: DEFAULT_NUM_K,
            ensemble: false,
            chunking: DEFAULT_CHUNKING,
            max_token_limit: DEFAULT_MAX_TOKEN_LIMIT,
            max_answer_tokens: DEFAULT_MAX_ANSWER_TOKENS,
            sampling: default_sampling(),
            text_model: None,
            embedding_model: None,
            vision_model: None,
            keep_pictures: true,
            max_pictures: DEFAULT_MAX_PICTURES,
        }
    }
}

/// Greedy, with so little against repetition that quotations stay whole: without it a small model can
/// say one line of a passage until its tokens are used up.
fn default_sampling() -> Sampling {
    Sampling {
        repetition_penalty: 1.05,
        ..Sampling::default()
    }
}

impl Defaults {
    /// Checks every value, so that a mistake is an error at start-up.
    pub fn check(&self) -> Result<()> {
        PromptTemplate::parse(&self.prompt_template)?;
        check_num_k(self.num_k)?;
        check_chunking(self.chunking)?;
        check_at_least_one("max_token_limit", self.max_token_limit)?;
        check_at_least_one("max_answer_tokens", self.max_answer_tokens)?;
        check_at_least_one("max_pictures", self.max_pictures)
    }
}

/// A retrieval of nothing, or of more passages than any prompt holds, is a mistake.
pub(crate) fn check_num_k(num_k: usize) -> Result<()> {
    if (1..=1000).contains(&num_k) {
        return Ok(());
    }
    Err(Error::InvalidSetting {
        name: "num_k",
        value: num_k.to_string(),
        expected: "from 1 to 1000",
    })
}

/// Asks the splitter itself, so that the rule stands in one place.
pub(crate) fn check_chunking(chunking: Chunking) -> Result<()> {
    longtrainer_documents::Splitter::new(chunking.chunk_size, chunking.chunk_overlap)?;
    Ok(())
}

fn check_at_least_one(name: &'static str, value: usize) -> Result<()> {
    if value > 0 {
        return Ok(());
    }
    Err(Error::InvalidSetting {
        name,
        value: value.to_string(),
        expected: "at least 1",
    })
}

/// The folders and files of a data directory.
#[derive(Debug, Clone)]
pub(crate) struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// Makes the directory if it is not there.
    pub(crate) fn create(root: PathBuf) -> Result<Self> {
        let root = std::path::absolute(&root).unwrap_or(root);
        let dir = Self { root };
        for folder in [
            dir.root.clone(),
            dir.indexes(),
            dir.training_root(),
            dir.uploads(),
        ] {
            std::fs::create_dir_all(&folder).map_err(|source| Error::Io {
                action: "create the directory",
                path: folder,
                source,
            })?;
        }
        Ok(dir)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("longtrainer.redb")
    }

    pub(crate) fn index(&self, bot_id: &crate::BotId) -> PathBuf {
        self.indexes().join(format!("{bot_id}.index"))
    }

    pub(crate) fn training(&self, bot_id: &crate::BotId) -> PathBuf {
        self.training_root().join(bot_id.as_str())
    }

    /// Where files wait that were sent in and not yet read: a folder an upload.
    pub(crate) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    /// Removes the files of an upload, if they are there.
    pub(crate) fn remove_upload(&self, upload: &str) -> Result<()> {
        crate::bots::remove_if_there(self.uploads().join(upload), |path| {
            std::fs::remove_dir_all(path)
        })
    }

    fn indexes(&self) -> PathBuf {
        self.root.join("indexes")
    }

    fn training_root(&self) -> PathBuf {
        self.root.join("training")
    }
}
