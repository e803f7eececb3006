//! The tokenizer of a model, built from the metadata of a GGUF file or from `tokenizer.json`.
//!
//! From a GGUF file it gives the tokens that llama.cpp gives: special tokens are cut out of the text first, the
//! longest text first, and the pieces between them go to the vocabulary's own algorithm. Candle's
//! reader of GGUF tokenizers was not used: it splits every unknown pre-tokenizer, SmolLM's too, like
//! GPT-2 and puts digits together that the model was trained to see alone, applies a normal form
//! that llama.cpp does not, and always reads control tokens out of plain text.

mod bpe;
mod bytes;
mod encoder;
mod json;
mod json_model;
mod pre_tokenizer;
mod roles;
mod special;
mod spm;
mod vocabulary;

use std::collections::HashSet;
use std::sync::Arc;

use crate::Result;
use crate::hub_folder::HubFolder;
use crate::model_file::ModelFile;

use bpe::Bpe;
use encoder::Algorithm;
use special::{SpecialTokens, phi3_takes_space};
use spm::Spm;
use vocabulary::Vocabulary;

pub(crate) use encoder::TextEncoder;

/// Whether the text of a control token in a text becomes that token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ControlTokens {
    /// For text of a chat template.
    Read,
    /// For text of a person.
    Plain,
}

/// Turns text into tokens and tokens into bytes.
#[derive(Debug)]
pub(crate) struct GgufTokenizer {
    vocabulary: Vocabulary,
    encoder: Arc<TextEncoder>,
    bytes: Vec<Vec<u8>>,
    end_tokens: HashSet<u32>,
}

const KINDS: &str = "gpt2 (byte-level BPE), llama (SentencePiece BPE)";

impl GgufTokenizer {
    /// Reads the tokenizer of a model.
    pub(crate) fn from_gguf(model: &str, file: &ModelFile) -> Result<Self> {
        if let Some(folder) = file.folder() {
            return Self::from_folder(model, file, folder);
        }
        let vocabulary = Vocabulary::from_gguf(file)?;
        let kind = file.required_string("tokenizer.ggml.model")?;
        let algorithm = match kind {
            "gpt2" => Algorithm::Bpe(Bpe::from_gguf(model, file, &vocabulary)?),
            "llama" => Algorithm::Spm(Spm::from_gguf(file, &vocabulary)?),
            other => return Err(file.unsupported("tokenizer", other, KINDS)),
        };
        let spell: fn(&str) -> Vec<u8> = match algorithm {
            Algorithm::Bpe(_) => bytes::of_byte_level_token,
            Algorithm::Spm(_) => bytes::of_sentencepiece_token,
        };
        let is_phi3 = kind == "llama" && file.string("general.architecture")? == Some("phi3");
        Ok(Self {
            encoder: Arc::new(TextEncoder {
                model: model.to_owned(),
                special: SpecialTokens::new(&vocabulary, |_, text| {
                    is_phi3 && phi3_takes_space(text)
                }),
                algorithm,
            }),
            bytes: vocabulary.token_bytes(spell),
            end_tokens: vocabulary.end_tokens(),
            vocabulary,
        })
    }

    fn from_folder(model: &str, file: &ModelFile, folder: &HubFolder) -> Result<Self> {
        let read = json::read(model, file, folder)?;
        let spell: fn(&str) -> Vec<u8> = match read.is_byte_level {
            true => bytes::of_byte_level_token,
            false => bytes::of_sentencepiece_token,
        };
        let takes_space = |id, _: &str| read.takes_space.contains(&id);
        Ok(Self {
            encoder: Arc::new(TextEncoder {
                model: model.to_owned(),
                special: SpecialTokens::new(&read.vocabulary, takes_space),
                algorithm: Algorithm::Bpe(read.bpe),
            }),
            bytes: read.vocabulary.token_bytes(spell),
            end_tokens: read.vocabulary.end_tokens(),
            vocabulary: read.vocabulary,
        })
    }

    /// Tokens of a rendered chat: control tokens are read where no `mark` is inside them, then the
    /// marks are taken out.
    pub(crate) fn encode_marked(&self, text: &str, mark: char) -> Result<Vec<u32>> {
        self.encoder.encode(text, ControlTokens::Read, Some(mark))
    }

    /// Tokens of a text, without a beginning-of-text token.
    pub(crate) fn encode(&self, text: &str, control: ControlTokens) -> Result<Vec<u32>> {
        self.encoder.encode(text, control, None)
    }

    /// Bytes that a token adds to an answer; none for control tokens and ids that do not exist.
    pub(crate) fn token_bytes(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether the token ends an answer.
    pub(crate) fn is_end(&self, token: u32) -> bool {
        self.end_tokens.contains(&token)
    }

    /// Tokens that end an answer.
    pub(crate) fn end_tokens(&self) -> impl Iterator<Item = u32> {
        self.end_tokens.iter().copied()
    }

    /// Text of a token as the file spells it; none for ids that do not exist.
    pub(crate) fn token_text(&self, token: u32) -> &str {
        self.vocabulary.text_or_empty(Some(token))
    }

    /// What turns text into tokens.
    pub(crate) fn encoder(&self) -> Arc<TextEncoder> {
        Arc::clone(&self.encoder)
    }

    /// Texts of the control tokens, which a person's text must not be able to spell.
    pub(crate) fn control_texts(&self) -> impl Iterator<Item = &str> {
        self.encoder.special.control_texts()
    }

    /// The token to put first, where the model was trained with one.
    pub(crate) fn leading_token(&self) -> Option<u32> {
        self.vocabulary
            .adds_bos
            .then_some(self.vocabulary.bos)
            .flatten()
    }

    /// Text of the beginning-of-text token, for chat templates.
    pub(crate) fn bos_text(&self) -> &str {
        self.vocabulary.text_or_empty(self.vocabulary.bos)
    }

    /// Text of the end-of-text token, for chat templates.
    pub(crate) fn eos_text(&self) -> &str {
        self.vocabulary.text_or_empty(self.vocabulary.eos)
    }

    /// Whether the vocabulary has a token of this text.
    pub(crate) fn has_token(&self, text: &str) -> bool {
        self.token(text).is_some()
    }

    /// The token of this text.
    pub(crate) fn token(&self, text: &str) -> Option<u32> {
        let mut numbered = self.vocabulary.tokens.iter().zip(0u32..);
        numbered.find(|(token, _)| *token == text).map(|(_, id)| id)
    }

    /// How many tokens there are.
    pub(crate) fn len(&self) -> usize {
        self.vocabulary.tokens.len()
    }
}

#[cfg(test)]
mod json_tests;
#[cfg(test)]
mod tests;
