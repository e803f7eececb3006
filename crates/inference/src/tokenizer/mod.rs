//! The tokenizer of a GGUF file, built from its metadata.
//!
//! It gives the tokens that llama.cpp gives: special tokens are cut out of the text first, the
//! longest text first, and the pieces between them go to the vocabulary's own algorithm. Candle's
//! reader of GGUF tokenizers was not used: it splits every unknown pre-tokenizer, SmolLM's too, like
//! GPT-2 and puts digits together that the model was trained to see alone, applies a normal form
//! that llama.cpp does not, and always reads control tokens out of plain text.

mod bpe;
mod bytes;
mod pre_tokenizer;
mod special;
mod spm;
mod vocabulary;

use std::borrow::Cow;
use std::collections::HashSet;

use crate::gguf::GgufFile;
use crate::{Error, Result};

use bpe::Bpe;
use special::{Piece, SpecialTokens};
use spm::Spm;
use vocabulary::Vocabulary;

/// Whether the text of a control token in a text becomes that token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ControlTokens {
    /// For text of a chat template.
    Read,
    /// For text of a person.
    Plain,
}

#[derive(Debug)]
enum Algorithm {
    Bpe(Bpe),
    Spm(Spm),
}

/// Turns text into tokens and tokens into bytes.
#[derive(Debug)]
pub(crate) struct GgufTokenizer {
    model: String,
    vocabulary: Vocabulary,
    special: SpecialTokens,
    algorithm: Algorithm,
    bytes: Vec<Vec<u8>>,
    end_tokens: HashSet<u32>,
}

const KINDS: &str = "gpt2 (byte-level BPE), llama (SentencePiece BPE)";

impl GgufTokenizer {
    /// Reads the tokenizer of a file.
    pub(crate) fn from_gguf(model: &str, file: &GgufFile) -> Result<Self> {
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
            model: model.to_owned(),
            special: SpecialTokens::new(&vocabulary, is_phi3),
            bytes: vocabulary.token_bytes(spell),
            end_tokens: vocabulary.end_tokens(),
            vocabulary,
            algorithm,
        })
    }

    /// Tokens of a rendered chat: control tokens are read where no `mark` is inside them, then the
    /// marks are taken out.
    pub(crate) fn encode_marked(&self, text: &str, mark: char) -> Result<Vec<u32>> {
        self.encode_pieces(self.special.split(text, ControlTokens::Read), Some(mark))
    }

    /// Tokens of a text, without a beginning-of-text token.
    #[cfg(test)]
    pub(crate) fn encode(&self, text: &str, control: ControlTokens) -> Result<Vec<u32>> {
        self.encode_pieces(self.special.split(text, control), None)
    }

    fn encode_pieces(&self, pieces: Vec<Piece<'_>>, mark: Option<char>) -> Result<Vec<u32>> {
        let mut tokens = Vec::new();
        let mut after_special = true;
        for piece in pieces {
            match piece {
                Piece::Token(token) => tokens.push(token),
                Piece::Text(text) => {
                    let text = without(text, mark);
                    self.encode_piece(&text, after_special, &mut tokens)?;
                }
            }
            after_special = matches!(piece, Piece::Token(_));
        }
        Ok(tokens)
    }

    fn encode_piece(&self, text: &str, after_special: bool, tokens: &mut Vec<u32>) -> Result<()> {
        match &self.algorithm {
            Algorithm::Bpe(bpe) => bpe.encode(text, tokens).map_err(|source| Error::Tokenizer {
                model: self.model.clone(),
                source,
            }),
            Algorithm::Spm(spm) => {
                spm.encode(text, after_special, tokens);
                Ok(())
            }
        }
    }

    /// Bytes that a token adds to an answer; none for control tokens and ids that do not exist.
    pub(crate) fn token_bytes(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether the token ends an answer.
    pub(crate) fn is_end(&self, token: u32) -> bool {
        self.end_tokens.contains(&token)
    }

    /// Texts of the control tokens, which a person's text must not be able to spell.
    pub(crate) fn control_texts(&self) -> impl Iterator<Item = &str> {
        self.special.control_texts()
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
        self.vocabulary.tokens.iter().any(|token| token == text)
    }

    /// How many tokens there are.
    pub(crate) fn len(&self) -> usize {
        self.vocabulary.tokens.len()
    }
}

fn without(text: &str, mark: Option<char>) -> Cow<'_, str> {
    match mark {
        Some(mark) if text.contains(mark) => text.replace(mark, "").into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests;
