//! `tokenizer.json` as it is written, and the tokenizers that are built from it: as it says for text that
//! begins, and without the space that some put first for text that goes on.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, Tokenizer};

use super::bpe::Bpe;

/// The file.
#[derive(Deserialize)]
pub(super) struct TokenizerJson {
    #[serde(default)]
    pub(super) added_tokens: Vec<AddedToken>,
    pub(super) normalizer: Option<Value>,
    pub(super) pre_tokenizer: Option<Value>,
    pub(super) post_processor: Option<Value>,
    pub(super) model: BpeModel,
}

/// A token that is cut out of texts before all else.
#[derive(Deserialize)]
pub(super) struct AddedToken {
    pub(super) id: u32,
    pub(super) content: String,
    #[serde(default)]
    pub(super) special: bool,
    #[serde(default)]
    pub(super) lstrip: bool,
    #[serde(default)]
    pub(super) rstrip: bool,
    #[serde(default)]
    pub(super) single_word: bool,
}

/// Vocabulary and merges.
#[derive(Deserialize)]
pub(super) struct BpeModel {
    pub(super) vocab: HashMap<String, u32>,
    pub(super) merges: Vec<Merge>,
    pub(super) unk_token: Option<String>,
    #[serde(default)]
    pub(super) fuse_unk: bool,
    #[serde(default)]
    pub(super) byte_fallback: bool,
    #[serde(default)]
    pub(super) ignore_merges: bool,
    pub(super) dropout: Option<f32>,
    pub(super) continuing_subword_prefix: Option<String>,
    pub(super) end_of_word_suffix: Option<String>,
}

/// Old files write `"a b"`, new ones `["a", "b"]`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Merge {
    Joined(String),
    Pair(String, String),
}

impl Merge {
    /// The two tokens that become one.
    pub(super) fn parts(&self) -> Option<(&str, &str)> {
        match self {
            Self::Joined(joined) => joined.split_once(' '),
            Self::Pair(left, right) => Some((left, right)),
        }
    }
}

impl TokenizerJson {
    /// Whether each character of a token's text stands for a byte.
    pub(super) fn is_byte_level(&self) -> bool {
        let parts = [&self.normalizer, &self.pre_tokenizer];
        let mut parts = parts.into_iter().flatten();
        parts.any(|part| find(part, &|part| kind(part) == "ByteLevel"))
    }

    /// Builds what turns text into tokens.
    pub(super) fn into_bpe(self) -> tokenizers::Result<Bpe> {
        let spaces = |part: &Value| match kind(part) {
            "Prepend" => true,
            "Metaspace" => part["prepend_scheme"] != "never" && part["add_prefix_space"] != false,
            "ByteLevel" => part["add_prefix_space"] == true,
            _ => false,
        };
        let parts = || {
            [&self.normalizer, &self.pre_tokenizer]
                .into_iter()
                .flatten()
        };
        let puts_space = parts().any(|part| find(part, &spaces));
        let space_once = parts().any(|part| find(part, &|part| part["prepend_scheme"] == "first"));
        let model = self.model.build()?;
        let inside = match puts_space {
            true => {
                let normalizer = self.normalizer.clone().and_then(without_space);
                let pre_tokenizer = self.pre_tokenizer.clone().and_then(without_space);
                Some(assemble(model.clone(), normalizer, pre_tokenizer)?)
            }
            false => None,
        };
        let tokenizer = assemble(model, self.normalizer, self.pre_tokenizer)?;
        Ok(Bpe::new(tokenizer, inside, space_once))
    }
}

impl BpeModel {
    fn build(&self) -> tokenizers::Result<BPE> {
        let vocab: Vocab = self
            .vocab
            .iter()
            .map(|(text, id)| (text.clone(), *id))
            .collect();
        let merges = self.merges.iter().filter_map(Merge::parts);
        let merges = merges.map(|(left, right)| (left.to_owned(), right.to_owned()));
        let mut builder = BPE::builder()
            .vocab_and_merges(vocab, merges.collect())
            .fuse_unk(self.fuse_unk)
            .byte_fallback(self.byte_fallback)
            .ignore_merges(self.ignore_merges);
        if let Some(unknown) = &self.unk_token {
            builder = builder.unk_token(unknown.clone());
        }
        builder.build()
    }
}

fn assemble(
    model: BPE,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
) -> tokenizers::Result<Tokenizer> {
    let mut tokenizer = Tokenizer::new(model);
    if let Some(normalizer) = normalizer {
        let normalizer: NormalizerWrapper = serde_json::from_value(normalizer)?;
        tokenizer.with_normalizer(Some(normalizer))?;
    }
    if let Some(pre_tokenizer) = pre_tokenizer {
        let pre_tokenizer: PreTokenizerWrapper = serde_json::from_value(pre_tokenizer)?;
        tokenizer.with_pre_tokenizer(Some(pre_tokenizer));
    }
    Ok(tokenizer)
}

fn kind(part: &Value) -> &str {
    part["type"].as_str().unwrap_or_default()
}

/// Whether a step, or one of the steps of a sequence, is of a kind.
fn find(part: &Value, is: &dyn Fn(&Value) -> bool) -> bool {
    let steps = ["normalizers", "pretokenizers"].map(|name| part[name].as_array());
    let mut steps = steps.into_iter().flatten().flatten();
    is(part) || steps.any(|step| find(step, is))
}

/// A step as it is for text that goes on; `None` where nothing is left to do.
fn without_space(mut part: Value) -> Option<Value> {
    match kind(&part) {
        "Prepend" => return None,
        "ByteLevel" => part["add_prefix_space"] = Value::Bool(false),
        "Metaspace" => {
            part["prepend_scheme"] = Value::String("never".to_owned());
            part["add_prefix_space"] = Value::Bool(false);
        }
        _ => (),
    }
    for name in ["normalizers", "pretokenizers"] {
        if let Some(steps) = part.get_mut(name).and_then(Value::as_array_mut) {
            *steps = steps.drain(..).filter_map(without_space).collect();
        }
    }
    Some(part)
}
