//! The folder of a sentence-transformers model: which files there are and what they say.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::pooling::Pooling;
use crate::{Error, Result};

/// Tokens of a text when the folder has no `sentence_bert_config.json`.
const DEFAULT_MAX_TOKENS: usize = 512;

/// A folder whose small files were read and checked.
#[derive(Debug)]
pub(super) struct ModelFolder {
    path: PathBuf,
    /// Shape of the encoder.
    pub(super) config: BertConfig,
    /// Tokens of a text, special tokens included.
    pub(super) max_tokens: usize,
    /// How a text becomes one vector.
    pub(super) pooling: Pooling,
}

/// What `config.json` says of an encoder.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct BertConfig {
    #[serde(default)]
    pub(super) model_type: String,
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    #[serde(default = "gelu")]
    pub(super) hidden_act: String,
    pub(super) max_position_embeddings: usize,
    #[serde(default)]
    pub(super) type_vocab_size: usize,
    #[serde(default = "bert_epsilon")]
    pub(super) layer_norm_eps: f64,
    #[serde(default)]
    pub(super) pad_token_id: u32,
    position_embedding_type: Option<String>,
}

#[derive(Debug, Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct PoolingConfig {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct ModuleEntry {
    #[serde(rename = "type")]
    kind: String,
}

fn gelu() -> String {
    "gelu".to_owned()
}

fn bert_epsilon() -> f64 {
    1e-12
}

impl ModelFolder {
    /// Reads and checks the configuration files.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let config: BertConfig = required(path, "config.json")?;
        config.check(&path.join("config.json"))?;
        check_modules(path)?;
        let sentence: Option<SentenceConfig> = optional(path, "sentence_bert_config.json")?;
        let longest = config.longest_text();
        let stated = sentence.and_then(|sentence| sentence.max_seq_length);
        let max_tokens = stated.unwrap_or(DEFAULT_MAX_TOKENS).min(longest);
        if max_tokens < 3 {
            let problem = format!("texts of {max_tokens} tokens leave no room for text");
            return Err(bad(&path.join("sentence_bert_config.json"), problem));
        }
        Ok(Self {
            path: path.to_owned(),
            pooling: pooling(path)?,
            config,
            max_tokens,
        })
    }

    /// Path of a file of the folder.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// How large the file of the weights is.
    pub(super) fn weight_bytes(&self) -> Result<u64> {
        let path = self.file("model.safetensors");
        match fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(source) => Err(Error::Read { path, source }),
        }
    }

    /// Bytes of a file of the folder.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.file(name);
        fs::read(&path).map_err(|source| Error::Read { path, source })
    }
}

impl BertConfig {
    /// Weights of the layers' matrices: queries, keys, values and output, then the two between the
    /// widths.
    pub(super) fn layer_parameters(&self) -> usize {
        let (hidden, inner) = (self.hidden_size, self.intermediate_size);
        self.num_hidden_layers * (4 * hidden * hidden + 2 * hidden * inner)
    }

    /// Whether positions are counted as RoBERTa does: from the padding id + 1 on.
    pub(super) fn is_roberta(&self) -> bool {
        matches!(self.model_type.as_str(), "roberta" | "xlm-roberta")
    }

    /// The position of a text's first token.
    pub(super) fn first_position(&self) -> usize {
        if self.is_roberta() {
            self.pad_token_id as usize + 1
        } else {
            0
        }
    }

    pub(super) fn longest_text(&self) -> usize {
        self.max_position_embeddings
            .saturating_sub(self.first_position())
    }

    fn check(&self, path: &Path) -> Result<()> {
        let unsupported = |what, found: &str, supported| Error::Unsupported {
            path: path.to_owned(),
            what,
            found: found.to_owned(),
            supported,
        };
        if self.model_type != "bert" && !self.is_roberta() {
            let supported = "bert, roberta, xlm-roberta";
            return Err(unsupported("architecture", &self.model_type, supported));
        }
        let positions = self
            .position_embedding_type
            .as_deref()
            .unwrap_or("absolute");
        if positions != "absolute" {
            return Err(unsupported("position embedding", positions, "absolute"));
        }
        if !matches!(
            self.hidden_act.as_str(),
            "gelu" | "gelu_new" | "gelu_pytorch_tanh" | "relu"
        ) {
            let supported = "gelu, gelu_new, gelu_pytorch_tanh, relu";
            return Err(unsupported("activation", &self.hidden_act, supported));
        }
        let heads = self.num_attention_heads;
        if heads == 0 || self.hidden_size == 0 || !self.hidden_size.is_multiple_of(heads) {
            let problem = format!("{heads} heads cannot share a width of {}", self.hidden_size);
            return Err(bad(path, problem));
        }
        if !self.layer_norm_eps.is_finite() || self.layer_norm_eps < 0.0 {
            return Err(bad(
                path,
                format!("layer_norm_eps is {}", self.layer_norm_eps),
            ));
        }
        Ok(())
    }
}

/// Mean or first token; a folder without the file is pooled by the mean, as sentence-transformers
/// does with a plain BERT.
fn pooling(folder: &Path) -> Result<Pooling> {
    let name = "1_Pooling/config.json";
    let Some(config) = optional::<PoolingConfig>(folder, name)? else {
        return Ok(Pooling::Mean);
    };
    let other = config
        .others
        .iter()
        .find(|(name, value)| name.starts_with("pooling_mode_") && value.as_bool() == Some(true));
    let unsupported = |found: &str| Error::Unsupported {
        path: folder.join(name),
        what: "pooling",
        found: found.to_owned(),
        supported: "pooling_mode_mean_tokens, pooling_mode_cls_token",
    };
    match (
        config.pooling_mode_mean_tokens,
        config.pooling_mode_cls_token,
        other,
    ) {
        (true, false, None) => Ok(Pooling::Mean),
        (false, true, None) => Ok(Pooling::Cls),
        (_, _, Some((other, _))) => Err(unsupported(other)),
        (true, true, None) => Err(unsupported("mean and cls tokens together")),
        (false, false, None) => Err(unsupported("none")),
    }
}

/// Transformer, pooling and norm are what is done here; a dense layer after them, say, is not.
fn check_modules(folder: &Path) -> Result<()> {
    let name = "modules.json";
    let modules: Option<Vec<ModuleEntry>> = optional(folder, name)?;
    for module in modules.unwrap_or_default() {
        let kind = module.kind.rsplit('.').next().unwrap_or_default();
        if !matches!(kind, "Transformer" | "Pooling" | "Normalize") {
            return Err(Error::Unsupported {
                path: folder.join(name),
                what: "module",
                found: module.kind,
                supported: "Transformer, Pooling, Normalize",
            });
        }
    }
    Ok(())
}

fn required<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<T> {
    let path = folder.join(name);
    match fs::read(&path) {
        Ok(bytes) => parse(path, &bytes),
        Err(source) => Err(Error::Read { path, source }),
    }
}

fn optional<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<T>> {
    let path = folder.join(name);
    match fs::read(&path) {
        Ok(bytes) => parse(path, &bytes).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path, source }),
    }
}

fn parse<T: DeserializeOwned>(path: PathBuf, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|source| Error::Config { path, source })
}

fn bad(path: &Path, problem: String) -> Error {
    Error::BadModel {
        path: path.to_owned(),
        problem,
    }
}
