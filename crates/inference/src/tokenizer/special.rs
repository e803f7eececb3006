//! Cutting special tokens out of a text.
//!
//! Tokens are looked for one after the other, the longest text first, as llama.cpp does: a text
//! that was claimed by a longer token is not looked at again.

use super::ControlTokens;
use super::vocabulary::{TokenKind, Vocabulary};

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'text> {
    /// A special token.
    Token(u32),
    /// Text between special tokens, never empty.
    Text(&'text str),
}

#[derive(Debug)]
struct SpecialToken {
    text: String,
    id: u32,
    /// Control and unknown tokens are read only from templates, user-defined ones from any text.
    control: bool,
    /// Whether white space after it belongs to it.
    takes_space: bool,
}

/// Special tokens of Phi-3 that leave white space after them in the text.
const PHI3_KEEPS_SPACE: [&str; 3] = ["<unk>", "<s>", "<|endoftext|>"];

/// Whether a special token of a GGUF file of Phi-3 takes white space after it, as in the files that its
/// tokenizer was published with.
pub(super) fn phi3_takes_space(text: &str) -> bool {
    !PHI3_KEEPS_SPACE.contains(&text)
}

/// The special tokens of a vocabulary, the longest first.
#[derive(Debug)]
pub(super) struct SpecialTokens {
    tokens: Vec<SpecialToken>,
}

impl SpecialTokens {
    /// Collects them. Some take white space after them, as `takes_space` says of id and text.
    pub(super) fn new(vocabulary: &Vocabulary, takes_space: impl Fn(u32, &str) -> bool) -> Self {
        let kinds = vocabulary.tokens.iter().zip(&vocabulary.kinds).zip(0u32..);
        let mut tokens: Vec<SpecialToken> = kinds
            .filter_map(|((text, kind), id)| {
                let control = match kind {
                    TokenKind::Control | TokenKind::Unknown => true,
                    TokenKind::UserDefined => false,
                    TokenKind::Normal | TokenKind::Byte => return None,
                };
                let token = SpecialToken {
                    text: text.clone(),
                    id,
                    control,
                    takes_space: takes_space(id, text),
                };
                (!text.is_empty()).then_some(token)
            })
            .collect();
        tokens.sort_by_key(|token| std::cmp::Reverse(token.text.len()));
        Self { tokens }
    }

    /// Texts of the control tokens, the longest first.
    pub(super) fn control_texts(&self) -> impl Iterator<Item = &str> {
        let control = self.tokens.iter().filter(|token| token.control);
        control.map(|token| token.text.as_str())
    }

    /// Cuts a text at its special tokens.
    pub(super) fn split<'text>(
        &self,
        text: &'text str,
        control: ControlTokens,
    ) -> Vec<Piece<'text>> {
        let mut pieces = Vec::new();
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        for token in &self.tokens {
            if token.control && control == ControlTokens::Plain || !text.contains(&token.text) {
                continue;
            }
            pieces = pieces
                .into_iter()
                .flat_map(|piece| cut(piece, token))
                .collect();
        }
        pieces
    }
}

fn cut<'text>(piece: Piece<'text>, token: &SpecialToken) -> Vec<Piece<'text>> {
    let Piece::Text(text) = piece else {
        return vec![piece];
    };
    let mut pieces = Vec::new();
    for (number, part) in text.split(token.text.as_str()).enumerate() {
        let mut part = part;
        if number > 0 {
            pieces.push(Piece::Token(token.id));
            if token.takes_space {
                part = part.trim_start_matches(is_space);
            }
        }
        if !part.is_empty() {
            pieces.push(Piece::Text(part));
        }
    }
    pieces
}

/// White space as the C library knows it.
fn is_space(character: char) -> bool {
    matches!(character, '\t'..='\r' | ' ')
}
