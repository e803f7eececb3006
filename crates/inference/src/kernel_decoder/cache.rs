//! Keys and values of the tokens that a request has read, in half precision.

use longtrainer_kernels::{KeyValueCache, RotaryLayout, Rows};

use crate::decoder::{AngleTable, AngleTables, DecoderConfig, Rotary};
use crate::error::ComputeError;

/// The cache of one request.
#[derive(Debug)]
pub(crate) struct DecoderCache {
    blocks: Vec<KeyValueCache>,
    length: usize,
    limit: usize,
}

/// One pass through the blocks: where its tokens stand. Dropped before it is finished, it takes the
/// tokens out of the cache again.
#[derive(Debug)]
pub(super) struct Step<'cache> {
    cache: &'cache mut DecoderCache,
    count: usize,
    angles: AngleTables,
    pub(super) layout: RotaryLayout,
}

impl DecoderCache {
    /// An empty cache for a request of at most `tokens` tokens.
    pub(super) fn new(config: &DecoderConfig, tokens: usize) -> Self {
        let block = || KeyValueCache::new(config.kv_heads, config.head_dim);
        Self {
            blocks: std::iter::repeat_with(block).take(config.blocks).collect(),
            length: 0,
            limit: config.context_length.min(tokens),
        }
    }

    /// Prepares to read `count` more tokens.
    pub(super) fn step(&mut self, count: usize, rotary: &Rotary) -> Result<Step<'_>, ComputeError> {
        if count == 0 || count > self.limit - self.length {
            let (length, limit) = (self.length, self.limit);
            let problem = format!("{count} tokens cannot follow {length} in a context of {limit}");
            return Err(problem.into());
        }
        Ok(Step {
            angles: rotary.tables(self.limit, self.length, count),
            cache: self,
            count,
            layout: rotary.layout(),
        })
    }
}

impl Step<'_> {
    /// Angles of the tokens in blocks with a window, or in the others.
    pub(super) fn angles(&self, is_local: bool) -> &AngleTable {
        self.angles.of(is_local)
    }

    /// Stores the keys and values of a block's tokens, and returns its cache.
    pub(super) fn extend(
        &mut self,
        block: usize,
        keys: Rows<'_>,
        values: Rows<'_>,
    ) -> Result<&KeyValueCache, ComputeError> {
        let Some(cache) = self.cache.blocks.get_mut(block) else {
            return Err(format!("the cache has no block {block}").into());
        };
        cache.extend(keys, values)?;
        Ok(cache)
    }

    /// Counts the tokens as read.
    pub(super) fn finish(self) {
        self.cache.length += self.count;
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        for block in &mut self.cache.blocks {
            block.truncate(self.cache.length);
        }
    }
}
