//! What an engine runs: a model that reads tokens of several requests in one step.

use crate::error::ComputeError;

/// Tokens of a block: what caches share with each other, and what the memory of keys and values is
/// counted in.
pub(crate) const BLOCK_TOKENS: usize = 128;

/// A language model. A seam for tests, which use a fake that panics or waits.
///
/// What a token gives depends on nothing but the tokens before it in its own cache: neither on the
/// other parts of the step, nor on how its text was cut into steps, nor on whether blocks came from
/// another cache. Models of quantised weights on the processor keep that promise to the bit.
pub(crate) trait LanguageModel: Send + 'static {
    /// What a request has read so far.
    type Cache: TokenCache;

    /// An empty cache. It takes memory as it is filled.
    fn new_cache(&self) -> Self::Cache;

    /// Reads the tokens of each part behind those in its cache, and returns the logits after its last
    /// [`logits`](Part::logits) tokens: a row of the vocabulary's length each, part by part.
    ///
    /// If it fails or panics, each cache is as it was, or as it would be after the step; `truncate`
    /// makes the former of the latter.
    fn step(&self, parts: &mut [Part<'_, Self::Cache>]) -> Result<Vec<f32>, ComputeError>;

    /// Memory of a block, in bytes.
    fn block_bytes(&self) -> usize;

    /// Memory of the weights, in bytes.
    fn weight_bytes(&self) -> usize;
}

/// A request's share of a step.
#[derive(Debug)]
pub(crate) struct Part<'step, C> {
    /// At least one token.
    pub(crate) tokens: &'step [u32],
    /// What the request has read.
    pub(crate) cache: &'step mut C,
    /// After how many of the last tokens logits are wanted; none in the middle of a prompt.
    pub(crate) logits: usize,
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

    /// Begins an empty cache with `len` tokens that another one has read, in the given blocks, of which
    /// the last may hold more tokens than are wanted. Shared memory is copied before it is written to.
    fn adopt(&mut self, blocks: Vec<Self::Block>, len: usize) -> Result<(), ComputeError>;
}
