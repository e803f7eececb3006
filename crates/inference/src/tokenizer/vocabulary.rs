//! The tokens of a model, their kinds, and the ids with a role.

use std::collections::{HashMap, HashSet};

use crate::Result;
use crate::model_file::ModelFile;

/// What a token is for, as the GGUF specification numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A piece of text; unused tokens are read like them.
    Normal,
    /// Stands for text that has no token.
    Unknown,
    /// Steers the model, and is no text.
    Control,
    /// Text that is always one token.
    UserDefined,
    /// One byte.
    Byte,
}

impl TokenKind {
    fn from_number(number: i64) -> Self {
        match number {
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            6 => Self::Byte,
            _ => Self::Normal,
        }
    }
}

/// Names under which models know the end of a message, besides the ids that the file names.
const END_TEXTS: [&str; 9] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "</s>",
];

/// Texts that steer a model even where a file calls them text, as some files of Gemma do: nobody may
/// write them into a message. Not `</s>`, which is a tag of HTML in Gemma's vocabulary.
const CONTROL_TEXTS: [&str; 11] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|endoftext|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<end_of_utterance>",
    // What stands for a picture, and around it.
    "<image>",
    "<fake_token_around_image>",
    "<global-img>",
];

/// Keys of the ids that end a message.
const END_KEYS: [&str; 3] = [
    "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.eot_token_id",
    "tokenizer.ggml.eom_token_id",
];

/// The tokens of a model.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// Text of each token, as the file spells it.
    pub(crate) tokens: Vec<String>,
    /// Kind of each token.
    pub(crate) kinds: Vec<TokenKind>,
    /// Token that begins a text.
    pub(crate) bos: Option<u32>,
    /// Token that ends a text.
    pub(crate) eos: Option<u32>,
    /// Whether every prompt begins with `bos`.
    pub(crate) adds_bos: bool,
    /// Tokens that the model says end a message.
    pub(super) ends: Vec<u32>,
}

impl Vocabulary {
    /// Reads the vocabulary, checking that every id lies inside it.
    pub(crate) fn from_gguf(file: &ModelFile) -> Result<Self> {
        let tokens = file.required_strings("tokenizer.ggml.tokens")?;
        if tokens.is_empty() {
            return Err(file.bad("tokenizer.ggml.tokens is empty"));
        }
        let kinds = read_kinds(file, &tokens)?;
        let id = |key: &'static str| read_id(file, key, tokens.len());
        let mut ends = Vec::new();
        for key in END_KEYS {
            ends.extend(id(key)?);
        }
        Ok(Self {
            bos: id("tokenizer.ggml.bos_token_id")?,
            eos: id("tokenizer.ggml.eos_token_id")?,
            adds_bos: adds_bos(file)?,
            tokens,
            kinds,
            ends,
        })
    }

    /// Ids by text; of two tokens with one text, the later.
    pub(crate) fn ids(&self) -> HashMap<&str, u32> {
        let numbered = self.tokens.iter().zip(0u32..);
        numbered.map(|(text, id)| (text.as_str(), id)).collect()
    }

    /// Tokens that end an answer.
    pub(crate) fn end_tokens(&self) -> HashSet<u32> {
        let mut ends: HashSet<u32> = self.ends.iter().copied().collect();
        for ((text, kind), id) in self.tokens.iter().zip(&self.kinds).zip(0u32..) {
            if *kind == TokenKind::Control && END_TEXTS.contains(&text.as_str()) {
                ends.insert(id);
            }
        }
        ends
    }

    /// Bytes of each token: of text tokens as `spell` reads them, of control tokens none.
    pub(crate) fn token_bytes(&self, spell: fn(&str) -> Vec<u8>) -> Vec<Vec<u8>> {
        let kinds = self.tokens.iter().zip(&self.kinds);
        kinds
            .map(|(text, kind)| match kind {
                TokenKind::Control | TokenKind::Unknown => Vec::new(),
                TokenKind::UserDefined => text.as_bytes().to_vec(),
                TokenKind::Normal | TokenKind::Byte => spell(text),
            })
            .collect()
    }

    /// Text of a token, empty when there is none.
    pub(crate) fn text_or_empty(&self, id: Option<u32>) -> &str {
        let text = id.and_then(|id| self.tokens.get(id as usize));
        text.map_or("", String::as_str)
    }
}

/// Whether a text steers a model, whatever a file calls it.
pub(super) fn steers(text: &str) -> bool {
    // `<row_2_col_3>` says which part of a picture comes next.
    let is_part = text.starts_with("<row_") && text.contains("_col_");
    is_part || CONTROL_TEXTS.contains(&text)
}

fn read_kinds(file: &ModelFile, tokens: &[String]) -> Result<Vec<TokenKind>> {
    let count = tokens.len();
    let Some(numbers) = file.integers("tokenizer.ggml.token_type")? else {
        return Ok(vec![TokenKind::Normal; count]);
    };
    if numbers.len() != count {
        return Err(file.bad(format!(
            "tokenizer.ggml.token_type has {} entries for {count} tokens",
            numbers.len()
        )));
    }
    let kinds = numbers.into_iter().map(TokenKind::from_number);
    let kinds = kinds.zip(tokens).map(|(kind, text)| {
        if steers(text) {
            TokenKind::Control
        } else {
            kind
        }
    });
    Ok(kinds.collect())
}

fn read_id(file: &ModelFile, key: &'static str, count: usize) -> Result<Option<u32>> {
    match file.integer(key)? {
        None => Ok(None),
        Some(id) if id < count as u64 => Ok(Some(id as u32)),
        Some(id) => Err(file.bad(format!("{key} is {id}, but there are {count} tokens"))),
    }
}

/// What the file says; without a word, what llama.cpp takes for its kind.
fn adds_bos(file: &ModelFile) -> Result<bool> {
    if let Some(stated) = file.boolean("tokenizer.ggml.add_bos_token")? {
        return Ok(stated);
    }
    let kind = file.required_string("tokenizer.ggml.model")?;
    let pre = file.string("tokenizer.ggml.pre")?.unwrap_or_default();
    Ok(kind == "llama" || super::pre_tokenizer::adds_bos(pre))
}
