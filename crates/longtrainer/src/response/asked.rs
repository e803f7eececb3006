//! A question with its options, checked as far as that goes without a store or a model.

use jiff::Timestamp;
use longtrainer_inference::{Adapter, Detail, Grammar, Sampling};
use longtrainer_store::UploadedFile;

use super::ResponseOptions;
use super::structured::{self, Structure};
use crate::error::Result;
use crate::question;

/// A question that makes sense by itself.
pub(crate) struct Asked {
    pub(super) query: String,
    pub(super) at: Timestamp,
    pub(super) uploaded_files: Vec<UploadedFile>,
    pub(super) num_k: Option<usize>,
    pub(super) max_tokens: Option<usize>,
    pub(super) sampling: Option<Sampling>,
    pub(super) stop: Vec<String>,
    pub(super) structure: Option<Structure>,
    pub(super) grammar: Option<Grammar>,
    pub(super) adapter: Option<Adapter>,
    pub(super) detail: Option<Detail>,
    pub(super) instructions: Option<String>,
    pub(super) top_logprobs: Option<usize>,
}

impl Asked {
    /// Checks a question that is being asked now.
    pub(crate) fn new(query: &str, options: ResponseOptions) -> Result<Self> {
        question::check(query)?;
        let structure = options.schema.map(Structure::new).transpose()?;
        Ok(Self {
            grammar: structured::grammar(structure.as_ref(), options.grammar)?,
            structure,
            query: query.to_owned(),
            at: Timestamp::now(),
            uploaded_files: options.uploaded_files,
            num_k: options.num_k,
            max_tokens: options.max_tokens,
            sampling: options.sampling,
            stop: options.stop,
            adapter: options.adapter,
            detail: options.detail,
            instructions: options.instructions,
            top_logprobs: options.top_logprobs,
        })
    }

    /// The bot's instructions with those of the caller.
    pub(super) fn with_instructions(&self, system: String) -> String {
        match &self.instructions {
            Some(instructions) if system.is_empty() => instructions.clone(),
            Some(instructions) => format!("{system}\n\n{instructions}"),
            None => system,
        }
    }

    /// The question as the model gets it, with word of the schema if there is one.
    pub(super) fn instructed(&self, question: String) -> String {
        match &self.structure {
            Some(structure) => structure.instruct(&question),
            None => question,
        }
    }
}
