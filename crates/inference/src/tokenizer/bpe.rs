//! BPE by ranked merges, through the `tokenizers` crate: the byte-level one of GGUF files
//! (`tokenizer.ggml.model` = `gpt2`), and those of `tokenizer.json`.

use tokenizers::Tokenizer;
use tokenizers::models::bpe::{BPE, Vocab};

use super::encoder::Place;
use super::pre_tokenizer;
use super::vocabulary::Vocabulary;
use crate::model_file::ModelFile;
use crate::{Error, Result};

/// The merges of a vocabulary, and the cuts before them.
#[derive(Debug)]
pub(super) struct Bpe {
    tokenizer: Box<Tokenizer>,
    /// For text that goes on, where the other puts a space before a text.
    inside: Option<Box<Tokenizer>>,
    /// Whether only the first of all texts gets that space.
    space_once: bool,
}

impl Bpe {
    /// Reads merges and pre-tokenizer.
    pub(super) fn from_gguf(
        model: &str,
        file: &ModelFile,
        vocabulary: &Vocabulary,
    ) -> Result<Self> {
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
                inside: None,
                space_once: false,
            }),
            Err(source) => Err(Error::Tokenizer {
                model: model.to_owned(),
                source,
            }),
        }
    }

    /// From tokenizers that were built elsewhere, as the fields say.
    pub(super) fn new(tokenizer: Tokenizer, inside: Option<Tokenizer>, space_once: bool) -> Self {
        Self {
            tokenizer: Box::new(tokenizer),
            inside: inside.map(Box::new),
            space_once,
        }
    }

    /// Adds the tokens of a text without special tokens.
    pub(super) fn encode(
        &self,
        text: &str,
        place: Place,
        tokens: &mut Vec<u32>,
    ) -> tokenizers::Result<()> {
        let goes_on = match place {
            Place::Beginning => false,
            Place::AfterSpecial => self.space_once,
            Place::Inside => true,
        };
        let inside = self.inside.as_ref().filter(|_| goes_on);
        let encoding = inside.unwrap_or(&self.tokenizer).encode_fast(text, false)?;
        tokens.extend_from_slice(encoding.get_ids());
        Ok(())
    }
}

fn read_merges(file: &ModelFile) -> Result<Vec<(String, String)>> {
    let merges = file.required_strings("tokenizer.ggml.merges")?;
    let pairs = merges.into_iter().map(|merge| {
        let pair = merge.split_once(' ');
        let pair = pair.map(|(left, right)| (left.to_owned(), right.to_owned()));
        pair.ok_or_else(|| file.bad(format!("tokenizer.ggml.merges: {merge:?} is not a pair")))
    });
    pairs.collect()
}
