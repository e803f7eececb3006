//! The tokenizer of a folder: `tokenizer.json` as the `tokenizers` crate writes it, and the files
//! beside it that say what its tokens are for.
//!
//! The crate could run the file as it is. But it would read control tokens out of a person's text, and
//! put a space before text that goes on. So vocabulary, merges, normalizer and pre-tokenizer are taken
//! from the file, and added tokens are cut out of texts here, as for GGUF files.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::bpe::Bpe;
use super::bytes::named_byte;
use super::json_model::{Merge, TokenizerJson};
use super::roles::{self, Roles};
use super::vocabulary::{TokenKind, Vocabulary, steers};
use crate::hub_folder::HubFolder;
use crate::model_file::ModelFile;
use crate::{Error, Result};

const NAME: &str = "tokenizer.json";
const KINDS: &str = "BPE of bytes, BPE with byte_fallback";

/// What the files of a folder say.
pub(super) struct FolderTokenizer {
    pub(super) vocabulary: Vocabulary,
    pub(super) bpe: Bpe,
    /// Added tokens that take white space after them.
    pub(super) takes_space: HashSet<u32>,
    /// Whether each character of a token's text stands for a byte.
    pub(super) is_byte_level: bool,
}

/// Reads them.
pub(super) fn read(model: &str, file: &ModelFile, folder: &HubFolder) -> Result<FolderTokenizer> {
    let source = Source { folder };
    let json = source.parse()?;
    source.check(&json)?;
    let rows = file.tensor_dims("token_embd.weight");
    let rows = rows.and_then(|dims| dims.first()).copied().unwrap_or(0);
    let tokens = source.tokens(&json, rows)?;
    let roles = roles::read(folder, &tokens, json.post_processor.as_ref())?;
    let kinds = kinds(&json, &tokens);
    let takes_space = json.added_tokens.iter().filter(|token| token.rstrip);
    let takes_space = takes_space.map(|token| token.id).collect();
    let is_byte_level = json.is_byte_level();
    let bpe = json.into_bpe().map_err(|source| Error::Tokenizer {
        model: model.to_owned(),
        source,
    })?;
    let Roles {
        bos,
        eos,
        adds_bos,
        ends,
    } = roles;
    Ok(FolderTokenizer {
        vocabulary: Vocabulary {
            tokens,
            kinds,
            bos,
            eos,
            adds_bos,
            ends,
        },
        bpe,
        takes_space,
        is_byte_level,
    })
}

/// Just enough to tell the kind, of which the rest depends.
#[derive(Deserialize)]
struct Outline {
    model: OutlineModel,
}

#[derive(Deserialize)]
struct OutlineModel {
    /// Old files of BPE do not say.
    #[serde(rename = "type")]
    kind: Option<String>,
    merges: Option<IgnoredAny>,
}

/// The file, for messages.
struct Source<'folder> {
    folder: &'folder HubFolder,
}

impl Source<'_> {
    fn parse(&self) -> Result<TokenizerJson> {
        let path = self.folder.file(NAME);
        let text = self.folder.text(NAME)?.ok_or_else(|| Error::Read {
            path: path.clone(),
            source: std::io::ErrorKind::NotFound.into(),
        })?;
        let failed = |source| Error::Config {
            path: path.clone(),
            source,
        };
        let Outline { model } = serde_json::from_str(&text).map_err(failed)?;
        match (model.kind.as_deref(), model.merges) {
            (Some("BPE"), _) | (None, Some(_)) => (),
            (kind, _) => return Err(self.unsupported(kind.unwrap_or("of no stated type"))),
        }
        serde_json::from_str(&text).map_err(failed)
    }

    /// Refuses what would silently give other tokens than the file means.
    fn check(&self, json: &TokenizerJson) -> Result<()> {
        let model = &json.model;
        if !json.is_byte_level() && !model.byte_fallback {
            return Err(self.unsupported("BPE of characters, without bytes"));
        }
        let affixes = [&model.continuing_subword_prefix, &model.end_of_word_suffix];
        let has_affix = |affix: &&Option<String>| affix.as_deref().is_some_and(|it| !it.is_empty());
        if affixes.iter().any(has_affix) {
            return Err(self.unsupported("BPE with prefixes or suffixes of words"));
        }
        if model.dropout.is_some_and(|share| share > 0.0) {
            return Err(self.unsupported("BPE with dropout"));
        }
        let odd = json
            .added_tokens
            .iter()
            .find(|token| token.lstrip || token.single_word);
        if let Some(token) = odd {
            let found = format!(
                "the added token {:?} with lstrip or single_word",
                token.content
            );
            return Err(self.unsupported(found));
        }
        for merge in &model.merges {
            self.check_merge(merge, &model.vocab)?;
        }
        Ok(())
    }

    fn check_merge(&self, merge: &Merge, vocab: &HashMap<String, u32>) -> Result<()> {
        let Some((left, right)) = merge.parts() else {
            return Err(self.bad("a merge of model.merges is not a pair"));
        };
        let joined = format!("{left}{right}");
        match [left, right, &joined]
            .iter()
            .find(|part| !vocab.contains_key(**part))
        {
            None => Ok(()),
            Some(part) => Err(self.bad(format!(
                "model.merges: {left:?} and {right:?} need {part:?}, which is not in model.vocab"
            ))),
        }
    }

    /// Texts by id; numbers that nobody has are empty texts. The embedding has `rows` rows.
    fn tokens(&self, json: &TokenizerJson, rows: usize) -> Result<Vec<String>> {
        let words = json.model.vocab.iter().map(|(text, id)| (text, *id));
        let added = json
            .added_tokens
            .iter()
            .map(|token| (&token.content, token.id));
        let mut tokens = Vec::new();
        for (text, id) in words.chain(added) {
            let index = id as usize;
            if index >= rows {
                return Err(self.bad(format!(
                    "token {text:?} has the id {id}, but the embedding has {rows} rows"
                )));
            }
            if index >= tokens.len() {
                tokens.resize(index + 1, String::new());
            }
            tokens[index].clone_from(text);
        }
        match tokens.is_empty() {
            true => Err(self.bad("model.vocab is empty")),
            false => Ok(tokens),
        }
    }

    fn bad(&self, problem: impl Into<String>) -> Error {
        Error::BadModel {
            path: self.folder.file(NAME),
            problem: problem.into(),
        }
    }

    fn unsupported(&self, found: impl Into<String>) -> Error {
        Error::Unsupported {
            path: self.folder.file(NAME),
            what: "tokenizer",
            found: found.into(),
            supported: KINDS,
        }
    }
}

fn kinds(json: &TokenizerJson, tokens: &[String]) -> Vec<TokenKind> {
    let added: HashMap<u32, bool> = json
        .added_tokens
        .iter()
        .map(|token| (token.id, token.special))
        .collect();
    let unknown = json.model.unk_token.as_deref();
    let numbered = tokens.iter().zip(0u32..);
    let kinds = numbered.map(|(text, id)| match added.get(&id) {
        _ if steers(text) => TokenKind::Control,
        Some(true) => TokenKind::Control,
        Some(false) => TokenKind::UserDefined,
        None if unknown == Some(text) => TokenKind::Unknown,
        None if json.model.byte_fallback && named_byte(text).is_some() => TokenKind::Byte,
        None => TokenKind::Normal,
    });
    kinds.collect()
}
