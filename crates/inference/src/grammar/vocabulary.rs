//! A model's vocabulary as grammars see it: a tree of the bytes of its tokens.

use std::sync::Arc;

use llguidance::toktrie::{TokRxInfo, TokTrie, TokenId, TokenizerEnv};

use crate::tokenizer::{GgufTokenizer, TextEncoder};

/// Longest token, in bytes, that a grammar uses. The tree holds paths of up to 1,024 nodes.
const LONGEST: usize = 1000;

/// A tokenizer's tree, and its way to cut text.
pub(super) struct Environment {
    tree: TokTrie,
    encoder: Arc<TextEncoder>,
}

/// Reads all tokens: text as its bytes, control tokens and whatever ends an answer as specials.
pub(super) fn environment(tokenizer: &GgufTokenizer) -> anyhow::Result<Environment> {
    let mut ends: Vec<u32> = tokenizer.end_tokens().collect();
    ends.sort_unstable();
    let first = ends.first().copied();
    let first = first.ok_or_else(|| anyhow::anyhow!("no token of this model ends an answer"))?;
    let words: Vec<Vec<u8>> = (0..tokenizer.len() as u32)
        .map(|token| word(tokenizer, token))
        .collect();
    let tree = TokTrie::from(&TokRxInfo::new(words.len() as u32, first), &words);
    Ok(Environment {
        tree: tree.with_eos_tokens(&ends),
        encoder: tokenizer.encoder(),
    })
}

/// What the tree knows a token by; nothing for one that no grammar can use.
fn word(tokenizer: &GgufTokenizer, token: u32) -> Vec<u8> {
    let bytes = tokenizer.token_bytes(token);
    let marker = TokTrie::SPECIAL_TOKEN_MARKER;
    let word = if bytes.is_empty() || tokenizer.is_end(token) {
        let text = tokenizer.token_text(token).as_bytes();
        [&[marker], text].concat()
    } else if bytes.first() == Some(&marker) {
        // No character begins with this byte.
        Vec::new()
    } else {
        bytes.to_vec()
    };
    if word.len() > LONGEST {
        Vec::new()
    } else {
        word
    }
}

impl Environment {
    /// The tokens of a text, if they are the text.
    fn encode(&self, text: &str) -> Option<Vec<TokenId>> {
        let tokens = self.encoder.encode_part(text).ok()?;
        let bytes = tokens.iter().flat_map(|token| self.tree.token(*token));
        bytes.copied().eq(text.bytes()).then_some(tokens)
    }
}

impl TokenizerEnv for Environment {
    fn tok_trie(&self) -> &TokTrie {
        &self.tree
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        let encode = |text: &str| {
            let tokens = self.encode(text);
            tokens.unwrap_or_else(|| self.tree.greedy_tokenize(text.as_bytes()))
        };
        self.tree.tokenize_with_greedy_fallback(bytes, encode)
    }
}
