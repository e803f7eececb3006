//! The half of a tokenizer that turns text into tokens; shared with grammars, which ask for the tokens
//! of text that must come next.

use std::borrow::Cow;

use super::ControlTokens;
use super::bpe::Bpe;
use super::special::{Piece, SpecialTokens};
use super::spm::Spm;
use crate::{Error, Result};

#[derive(Debug)]
pub(super) enum Algorithm {
    Bpe(Bpe),
    Spm(Spm),
}

/// Where a piece of text stands; some vocabularies put a space before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At the beginning of all text.
    Beginning,
    /// After a special token.
    AfterSpecial,
    /// After text that is not seen.
    Inside,
}

/// Turns text into tokens.
#[derive(Debug)]
pub(crate) struct TextEncoder {
    pub(super) model: String,
    pub(super) special: SpecialTokens,
    pub(super) algorithm: Algorithm,
}

impl TextEncoder {
    /// Tokens of a text that begins where a message does; without the `mark`, which nevertheless keeps
    /// a control token apart.
    pub(super) fn encode(
        &self,
        text: &str,
        control: ControlTokens,
        mark: Option<char>,
    ) -> Result<Vec<u32>> {
        self.encode_pieces(self.special.split(text, control), Place::Beginning, mark)
    }

    /// Tokens of a part of an answer, control tokens never among them.
    pub(crate) fn encode_part(&self, text: &str) -> Result<Vec<u32>> {
        let pieces = self.special.split(text, ControlTokens::Plain);
        self.encode_pieces(pieces, Place::Inside, None)
    }

    fn encode_pieces(
        &self,
        pieces: Vec<Piece<'_>>,
        mut place: Place,
        mark: Option<char>,
    ) -> Result<Vec<u32>> {
        let mut tokens = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Token(token) => tokens.push(token),
                Piece::Text(text) => {
                    let text = without(text, mark);
                    self.encode_piece(&text, place, &mut tokens)?;
                }
            }
            place = match piece {
                Piece::Token(_) => Place::AfterSpecial,
                Piece::Text(_) => Place::Inside,
            };
        }
        Ok(tokens)
    }

    fn encode_piece(&self, text: &str, place: Place, tokens: &mut Vec<u32>) -> Result<()> {
        match &self.algorithm {
            Algorithm::Bpe(bpe) => {
                let encoded = bpe.encode(text, place, tokens);
                encoded.map_err(|source| Error::Tokenizer {
                    model: self.model.clone(),
                    source,
                })
            }
            Algorithm::Spm(spm) => {
                spm.encode(text, place, tokens);
                Ok(())
            }
        }
    }
}

fn without(text: &str, mark: Option<char>) -> Cow<'_, str> {
    match mark {
        Some(mark) if text.contains(mark) => text.replace(mark, "").into(),
        _ => text.into(),
    }
}
