//! Bringing a JSON answer to its end while it still has tokens.
//!
//! A schema may allow text that goes on for as long as a model likes: members of any name, long lists,
//! long strings. An answer cut off in one of those is no JSON. So when its tokens run short, of those
//! that the schema allows only the ones that lead to the end are left: what closes a string, a list or
//! an object, else what goes on to the next required part, else the shortest values.

use std::sync::Arc;

use llguidance::toktrie::TokTrie;
use serde_json::Value;

use super::least::least_bytes;
use crate::sampling::TokenMask;

/// Values that are over at once, and the beginning of a string.
const SHORT_VALUES: [&[u8]; 10] = [
    b"\"\"", b"\"", b"null", b"0", b"1", b"true", b"false", b"[]", b"{}", b"2",
];

/// Bytes of JSON a token, at least: short names and values between signs.
const BYTES_A_TOKEN: usize = 2;
/// Tokens for ending what was begun.
const SPARE: usize = 12;

/// The tokens of a vocabulary that bring JSON to its end.
#[derive(Debug)]
pub(super) struct ClosingTokens {
    /// Inside a string, the best first.
    in_strings: Vec<TokenMask>,
    /// Elsewhere, the best first.
    elsewhere: Vec<TokenMask>,
}

impl ClosingTokens {
    pub(super) fn new(vocabulary: &TokTrie) -> Self {
        let is_end = |token| vocabulary.eos_tokens().contains(&token);
        let set = |is_in: &dyn Fn(&[u8]) -> bool| {
            let members = (0..vocabulary.vocab_size() as u32)
                .filter(|token| !is_end(*token) && is_in(vocabulary.token(*token)));
            TokenMask::from_tokens(members)
        };
        let ends = TokenMask::from_tokens(vocabulary.eos_tokens().iter().copied());
        let closes = |bytes: &[u8]| bytes.iter().all(|byte| b"}]".contains(byte));
        let string_ends = set(&|bytes| bytes.strip_prefix(b"\"").is_some_and(closes));
        let structure_ends = set(&|bytes| !bytes.is_empty() && closes(bytes));
        let separators = set(&|bytes| bytes == b"," || bytes == b":");
        let values = set(&|bytes| SHORT_VALUES.contains(&without_space(bytes)));
        let listed = |sets: Vec<Option<TokenMask>>| sets.into_iter().flatten().collect();
        Self {
            in_strings: listed(vec![string_ends]),
            elsewhere: listed(vec![ends, structure_ends, separators, values]),
        }
    }
}

/// Many vocabularies have the space before a word in the word's token.
fn without_space(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b" ").unwrap_or(bytes)
}

/// Where a JSON text is, as far as closing it needs to know.
#[derive(Debug, Clone)]
pub(super) struct Closing {
    tokens: Arc<ClosingTokens>,
    /// Bytes of a short value of the schema.
    least_bytes: usize,
    /// Lists and objects that are open.
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Closing {
    /// At the beginning of a text.
    pub(super) fn new(tokens: Arc<ClosingTokens>, schema: &Value) -> Self {
        Self {
            tokens,
            least_bytes: least_bytes(schema),
            depth: 0,
            in_string: false,
            escaped: false,
        }
    }

    /// Follows the text.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                b'{' | b'[' if !self.in_string => self.depth += 1,
                b'}' | b']' if !self.in_string => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Tokens that it may take to end the text from here: what is open must be closed, and all that
    /// the schema requires may still be to come.
    pub(super) fn tokens_to_end(&self) -> usize {
        self.depth + self.least_bytes / BYTES_A_TOKEN + SPARE
    }

    /// Those of the tokens that may come next which lead to the end; all of them where none does.
    pub(super) fn narrow(&self, mask: &TokenMask) -> Option<TokenMask> {
        let sets = match self.in_string {
            true => &self.tokens.in_strings,
            false => &self.tokens.elsewhere,
        };
        sets.iter().find_map(|set| mask.and(set))
    }
}
