//! Which tokens of a folder begin and end a text.
//!
//! Tokenizer and model each have their say, and files are not always of one mind: SmolVLM's
//! `generation_config.json` names a first token that it was not trained with. So the first token is the
//! tokenizer's, and whatever anybody says ends a text ends it.

use std::collections::HashMap;

use serde_json::Value;

use crate::hub_folder::{CONFIG, Fields, HubFolder};
use crate::{Error, Result};

const GENERATION: &str = "generation_config.json";
const TOKENIZER: &str = "tokenizer_config.json";
const SPECIAL: &str = "special_tokens_map.json";

/// Ids with a role.
pub(super) struct Roles {
    pub(super) bos: Option<u32>,
    pub(super) eos: Option<u32>,
    pub(super) adds_bos: bool,
    pub(super) ends: Vec<u32>,
}

/// Reads them. `tokens` are texts by id, `post` is how `tokenizer.json` finishes a text.
pub(super) fn read(folder: &HubFolder, tokens: &[String], post: Option<&Value>) -> Result<Roles> {
    let config = folder.optional(TOKENIZER)?;
    let special = folder.optional(SPECIAL)?;
    let sources: Vec<&Fields> = [&config, &special].into_iter().flatten().collect();
    let ids: HashMap<&str, u32> = tokens.iter().map(String::as_str).zip(0u32..).collect();
    let bos = role(&sources, "bos_token", &ids)?;
    let eos = role(&sources, "eos_token", &ids)?;
    let leading = post.and_then(leading).and_then(|text| ids.get(text));
    let says_so = match &config {
        Some(config) => config.boolean("add_bos_token")?.unwrap_or(false),
        None => false,
    };
    let mut ends = model_ends(folder, tokens.len())?;
    ends.extend(eos);
    Ok(Roles {
        bos: leading.copied().or(bos),
        eos,
        adds_bos: leading.is_some() || says_so,
        ends,
    })
}

/// The token with a role, by its text, which may be all of a value or its `content`.
fn role(sources: &[&Fields], name: &str, ids: &HashMap<&str, u32>) -> Result<Option<u32>> {
    let Some((source, value)) = sources
        .iter()
        .find_map(|source| Some((source, source.value(name)?)))
    else {
        return Ok(None);
    };
    let text = value.as_str().or_else(|| value.get("content")?.as_str());
    let text = text.ok_or_else(|| source.bad(name, "is not the text of a token"))?;
    let id = ids.get(text).copied();
    let id = id.ok_or_else(|| source.bad(name, &format!("is {text:?}, which is no token")))?;
    Ok(Some(id))
}

/// The special token that a template of the tokenizer puts first.
fn leading(post: &Value) -> Option<&str> {
    if let Some(steps) = post["processors"].as_array() {
        return steps.iter().find_map(leading);
    }
    post["single"].get(0)?["SpecialToken"]["id"].as_str()
}

/// What the model's own files say: `generation_config.json`, and `config.json` where that says nothing.
fn model_ends(folder: &HubFolder, tokens: usize) -> Result<Vec<u32>> {
    const NAME: &str = "eos_token_id";
    if let Some(generation) = folder.optional(GENERATION)? {
        let stated = generation.integers(NAME)?;
        if !stated.is_empty() {
            let ids = stated.into_iter().map(|id| known(id, tokens, &generation));
            return ids.collect();
        }
    }
    let config = folder.required(CONFIG)?;
    let stated = config.integers(NAME)?;
    // Leftovers of the configuration that it was copied from are not rare, and end nothing.
    let ids = stated
        .into_iter()
        .filter_map(|id| match known(id, tokens, &config) {
            Ok(id) => Some(id),
            Err(error) => {
                tracing::warn!(%error, "an end token is left out");
                None
            }
        });
    Ok(ids.collect())
}

fn known(id: u64, tokens: usize, fields: &Fields) -> Result<u32, Error> {
    match u32::try_from(id) {
        Ok(id) if (id as usize) < tokens => Ok(id),
        _ => {
            let problem = format!("is {id}, but there are {tokens} tokens");
            Err(fields.bad("eos_token_id", &problem))
        }
    }
}
