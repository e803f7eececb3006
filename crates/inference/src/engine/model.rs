//! What an engine runs: a model that reads tokens of several requests in one step.

use longtrainer_kernels::PAGE_TOKENS;

use super::scores::{Needed, Scores, deal};
use crate::adapter::AppliedAdapter;
use crate::error::ComputeError;
use crate::soft::SoftSpan;

/// Tokens of a block: what caches share with each other, and what the memory of keys and values is
/// counted in.
pub(crate) const BLOCK_TOKENS: usize = PAGE_TOKENS;

/// A language model. A seam for tests, which use a fake that panics or waits.
///
/// What a token gives depends on nothing but the tokens before it in its own cache and its request's
/// adapter: neither on the
/// other parts of the step, nor on how its text was cut into steps, nor on whether blocks came from
/// another cache of the same [kind](Self::cache_kind). Models on our kernels keep that promise to the
/// bit.
pub(crate) trait LanguageModel: Send + 'static {
    /// What a request has read so far.
    type Cache: TokenCache;

    /// An empty cache for a request of at most `tokens` tokens, the answer's among them. It takes
    /// memory as it is filled.
    fn new_cache(&self, tokens: usize) -> Self::Cache;

    /// Which of its caches a request of at most `tokens` tokens can share blocks with: those of the
    /// same kind. Some models turn the keys of long requests by other angles. There are less than 256.
    fn cache_kind(&self, tokens: usize) -> u64;

    /// Reads the tokens of each part behind those in its cache, and returns the logits after its last
    /// [`logits`](Part::logits) tokens: a row of the vocabulary's length each, part by part.
    ///
    /// If it fails or panics, each cache is as it was, or as it would be after the step; `truncate`
    /// makes the former of the latter.
    fn step(&self, parts: &mut [Part<'_, Self::Cache>]) -> Result<Vec<f32>, ComputeError>;

    /// A [`step`](Self::step) that may give each part less than all logits, if it [needs](Part::needed) no more: a
    /// [`Scores`] for each. Whoever has the logits at hand gives them all.
    fn scores(&self, parts: &mut [Part<'_, Self::Cache>]) -> Result<Vec<Scores>, ComputeError> {
        let asked: Vec<usize> = parts.iter().map(|part| part.logits).collect();
        Ok(deal(self.step(parts)?, &asked))
    }

    /// A step of a single request.
    fn step_one(
        &self,
        tokens: &[u32],
        cache: &mut Self::Cache,
        logits: usize,
    ) -> Result<Vec<f32>, ComputeError> {
        self.step(&mut [Part::new(tokens, cache, logits)])
    }

    /// Memory of a block, in bytes.
    fn block_bytes(&self) -> usize;

    /// Memory that the blocks of all caches take at this moment, in bytes; a shared one counts once.
    fn cache_bytes(&self) -> usize;

    /// Memory of the weights, in bytes.
    fn weight_bytes(&self) -> usize;
}

/// A request's share of a step.
#[derive(Debug)]
pub(crate) struct Part<'step, C> {
    /// At least one token.
    pub(crate) tokens: &'step [u32],
    /// The rows of those that are [soft](crate::soft).
    pub(crate) soft: &'step [SoftSpan],
    /// What changes the model for this request.
    pub(crate) adapter: Option<&'step AppliedAdapter>,
    /// What the request has read.
    pub(crate) cache: &'step mut C,
    /// After how many of the last tokens logits are wanted; none in the middle of a prompt.
    pub(crate) logits: usize,
    /// How much of each row is needed.
    pub(crate) needed: Needed,
}

impl<'step, C> Part<'step, C> {
    /// A share without soft tokens and without an adapter, which needs all logits.
    pub(crate) fn new(tokens: &'step [u32], cache: &'step mut C, logits: usize) -> Self {
        Self {
            tokens,
            soft: &[],
            adapter: None,
            cache,
            logits,
            needed: Needed::Logits,
        }
    }

    /// That logits are wanted after no more tokens than there are.
    pub(crate) fn check(&self) -> Result<(), ComputeError> {
        let (logits, tokens) = (self.logits, self.tokens.len());
        match logits <= tokens {
            true => Ok(()),
            false => Err(format!("logits after {logits} of {tokens} tokens were asked for").into()),
        }
    }
}

/// Keys and values of the tokens that a request has read.
pub(crate) trait TokenCache: Send {
    /// Keys and values of up to [`BLOCK_TOKENS`] tokens, in all layers: a handle to memory that
    /// nobody writes to while it is shared.
    type Block: Clone + Send + 'static;

    /// Tokens that were read.
    fn len(&self) -> usize;

    /// Forgets all tokens from `len` on and gives back the blocks that only they were in.
    fn truncate(&mut self, len: usize);

    /// The block of the tokens from `index * BLOCK_TOKENS` on, as far as they were read; to be shared.
    fn block(&self, index: usize) -> Result<Self::Block, ComputeError>;

    /// Begins an empty cache with `len` tokens that another one of the same kind has read, in the
    /// given blocks, of which the last may hold more tokens than are wanted. Shared memory is copied
    /// before it is written to. If it fails, the cache is empty.
    fn adopt(&mut self, blocks: Vec<Self::Block>, len: usize) -> Result<(), ComputeError>;
}
