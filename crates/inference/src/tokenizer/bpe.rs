//! Byte-level BPE (`tokenizer.ggml.model` = `gpt2`), through the `tokenizers` crate.

use tokenizers::Tokenizer;
use tokenizers::models::bpe::{BPE, Vocab};

use super::pre_tokenizer;
use super::vocabulary::Vocabulary;
use crate::gguf::GgufFile;
use crate::{Error, Result};

/// The merges of a vocabulary, and the cuts before them.
#[derive(Debug)]
pub(super) struct Bpe {
    tokenizer: Box<Tokenizer>,
}

impl Bpe {
    /// Reads merges and pre-tokenizer.
    pub(super) fn from_gguf(model: &str, file: &GgufFile, vocabulary: &Vocabulary) -> Result<Self> {
        let name = file.required_string("tokenizer.ggml.pre")?;
        let rules = pre_tokenizer::rules(name)
            .ok_or_else(|| file.unsupported("pre-tokenizer", name, pre_tokenizer::NAMES))?;
        let merges = read_merges(file)?;
        let ids = vocabulary.ids();
        let ids: Vocab = ids
            .into_iter()
            .map(|(text, id)| (text.to_owned(), id))
            .collect();
        let built = BPE::builder()
            .vocab_and_merges(ids, merges)
            .ignore_merges(rules.whole_words)
            .build()
            .and_then(|bpe| {
                let mut tokenizer = Tokenizer::new(bpe);
                tokenizer.with_pre_tokenizer(Some(rules.build()?));
                Ok(tokenizer)
            });
        match built {
            Ok(tokenizer) => Ok(Self {
                tokenizer: Box::new(tokenizer),
            }),
            Err(source) => Err(Error::Tokenizer {
                model: model.to_owned(),
                source,
            }),
        }
    }

    /// Adds the tokens of a text without special tokens.
    pub(super) fn encode(&self, text: &str, tokens: &mut Vec<u32>) -> tokenizers::Result<()> {
        let encoding = self.tokenizer.encode_fast(text, false)?;
        tokens.extend_from_slice(encoding.get_ids());
        Ok(())
    }
}

fn read_merges(file: &GgufFile) -> Result<Vec<(String, String)>> {
    let merges = file.required_strings("tokenizer.ggml.merges")?;
    let pairs = merges.into_iter().map(|merge| {
        let pair = merge.split_once(' ');
        let pair = pair.map(|(left, right)| (left.to_owned(), right.to_owned()));
        pair.ok_or_else(|| file.bad(format!("tokenizer.ggml.merges: {merge:?} is not a pair")))
    });
    pairs.collect()
}
