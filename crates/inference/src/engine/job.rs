//! A request on its way to the engine.

use std::sync::Arc;
use std::time::Instant;

use async_channel::Sender;

use super::cache_kind::CacheKind;
use crate::adapter::AppliedAdapter;
use crate::grammar::Guide;
use crate::soft::SoftSpan;
use crate::{Result, Sampling, StreamItem};

/// A request whose numbers were checked and whose prompt fits.
pub(crate) struct Job {
    /// Tokens of the prompt; at least one.
    pub(crate) prompt: Vec<u32>,
    /// The rows of those that are [soft](crate::soft).
    pub(crate) soft: Vec<SoftSpan>,
    /// What changes the model for it.
    pub(crate) adapter: Option<AppliedAdapter>,
    /// Who shares the keys and values of its tokens.
    pub(crate) cache_scope: Option<Arc<str>>,
    /// How tokens are chosen.
    pub(crate) sampling: Sampling,
    /// Most tokens of the answer; at least one.
    pub(crate) max_tokens: usize,
    /// Stop strings; none is empty.
    pub(crate) stop: Vec<String>,
    /// Tokens that end the answer, beside those of the model.
    pub(crate) stop_tokens: Vec<u32>,
    /// Keeps the answer in its shape.
    pub(crate) guide: Option<Guide>,
    /// Whether tokens are reported, and with how many others.
    pub(crate) top_logprobs: Option<usize>,
    /// Where the answer goes.
    pub(crate) events: Sender<Result<StreamItem>>,
    /// When the request came.
    pub(crate) submitted: Instant,
    /// What the log is told about the request, by whoever sent it.
    pub(crate) span: tracing::Span,
}

impl Job {
    /// With which requests it shares keys and values; `of_model` is what the model says.
    pub(super) fn kind(&self, of_model: u64) -> CacheKind {
        CacheKind {
            of_model,
            adapter: self.adapter.as_ref().map_or(0, |adapter| adapter.kind),
            scope: self.cache_scope.clone(),
        }
    }

    /// Tokens that it may need room for.
    pub(super) fn most_tokens(&self) -> usize {
        self.prompt.len().saturating_add(self.max_tokens)
    }

    /// Whether nobody wants the answer any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.events.is_closed()
    }
}
