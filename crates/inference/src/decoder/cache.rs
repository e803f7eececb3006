//! Keys and values of the tokens that a request has read.
//!
//! Memory is taken in steps as the text grows, twice as much each time, so that a short chat with a
//! long-context model stays small and no token copies the whole past. What caches share with each
//! other they copy (see `blocks`).

use candle_core::{DType, Device, Result, Tensor};

use super::config::DecoderConfig;
use super::memory::{Held, MemoryCounter};
use super::rotary::{AngleTable, Angles, Rotary, Span};

/// Tokens of room that an empty cache gets first.
const FIRST_CAPACITY: usize = 256;

/// The cache of one request.
#[derive(Debug)]
pub(crate) struct KvCache {
    /// Keys and values of each block: (kv_heads, capacity, head_dim).
    blocks: Vec<(Tensor, Tensor)>,
    block_count: usize,
    length: usize,
    capacity: usize,
    limit: usize,
    /// Which angles keys were turned by.
    kind: u64,
    kv_heads: usize,
    head_dim: usize,
    window: Option<usize>,
    dtype: DType,
    device: Device,
    memory: Held,
}

/// One pass through the blocks: where its tokens stand, and room for their keys and values.
#[derive(Debug)]
pub(super) struct Step<'cache> {
    cache: &'cache mut KvCache,
    count: usize,
    global: Sight,
    /// In blocks with a window.
    local: Option<Sight>,
}

/// What the tokens of a step look at in one kind of blocks.
#[derive(Debug)]
pub(super) struct Sight {
    /// Angles of the positions.
    pub(super) angles: Angles,
    /// The first position that any of them looks at.
    first: usize,
    /// 0 where a token may look and negative infinity where it may not: (tokens, positions from
    /// `first` on). A single token may look at all of them.
    pub(super) mask: Option<Tensor>,
}

impl KvCache {
    /// An empty cache for a request of at most `tokens` tokens.
    pub(super) fn new(
        config: &DecoderConfig,
        tokens: usize,
        rotary: &Rotary,
        dtype: DType,
        device: &Device,
        memory: &MemoryCounter,
    ) -> Self {
        let limit = config.context_length.min(tokens);
        Self {
            blocks: Vec::new(),
            block_count: config.blocks,
            length: 0,
            capacity: 0,
            limit,
            kind: rotary.kind(limit),
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            window: config.window.as_ref().map(|window| window.tokens),
            dtype,
            device: device.clone(),
            memory: memory.hold(0),
        }
    }

    /// Memory that a token takes, in bytes.
    pub(super) fn bytes_a_token(config: &DecoderConfig, dtype: DType) -> usize {
        bytes_a_token(config.blocks, config.kv_heads, config.head_dim, dtype)
    }

    /// Tokens that were read.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Tokens that it may come to hold.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Which angles keys were turned by.
    pub(super) fn kind(&self) -> u64 {
        self.kind
    }

    /// Keys and values of each block: (kv_heads, capacity, head_dim).
    pub(super) fn tensors(&self) -> &[(Tensor, Tensor)] {
        &self.blocks
    }

    /// Counts the memory of so many tokens.
    pub(super) fn hold(&self, tokens: usize) -> Held {
        let bytes = bytes_a_token(self.block_count, self.kv_heads, self.head_dim, self.dtype);
        self.memory.counter().hold(tokens * bytes)
    }

    /// Counts the first `len` tokens, which were written, as read.
    pub(super) fn set_len(&mut self, len: usize) {
        self.length = len;
    }

    /// Forgets all tokens from `len` on. Memory is given back when none is left.
    pub(super) fn forget(&mut self, len: usize) {
        self.length = self.length.min(len);
        if self.length == 0 {
            self.blocks.clear();
            self.capacity = 0;
            self.memory = self.hold(0);
        }
    }

    /// Prepares to read `count` more tokens.
    pub(super) fn step(&mut self, count: usize, rotary: &Rotary) -> Result<Step<'_>> {
        if count == 0 || count > self.limit - self.length {
            candle_core::bail!(
                "{count} tokens cannot follow {} in a context of {}",
                self.length,
                self.limit
            );
        }
        self.reserve(self.length + count)?;
        let tables = rotary.tables(&[Span {
            limit: self.limit,
            start: self.length,
            count,
        }]);
        let sight = |table: &AngleTable, window: usize| -> Result<Sight> {
            let first = (self.length + 1).saturating_sub(window);
            Ok(Sight {
                angles: rotary.angles(table)?,
                first,
                mask: causal_mask(self.length, count, first, window, &self.device)?,
            })
        };
        let local = self.window.map(|window| sight(tables.of(true), window));
        Ok(Step {
            global: sight(tables.of(false), usize::MAX)?,
            local: local.transpose()?,
            cache: self,
            count,
        })
    }

    /// Makes room for `needed` tokens together.
    pub(super) fn reserve(&mut self, needed: usize) -> Result<()> {
        if needed <= self.capacity {
            return Ok(());
        }
        let doubled = needed.next_power_of_two().max(FIRST_CAPACITY);
        let capacity = doubled.min(self.limit);
        let shape = (self.kv_heads, capacity, self.head_dim);
        let mut blocks = Vec::with_capacity(self.block_count);
        for index in 0..self.block_count {
            let keys = Tensor::zeros(shape, self.dtype, &self.device)?;
            let values = Tensor::zeros(shape, self.dtype, &self.device)?;
            if let Some((old_keys, old_values)) = self.blocks.get(index) {
                keys.slice_set(old_keys, 1, 0)?;
                values.slice_set(old_values, 1, 0)?;
            }
            blocks.push((keys, values));
        }
        self.blocks = blocks;
        self.capacity = capacity;
        self.memory = self.hold(capacity);
        Ok(())
    }
}

impl Step<'_> {
    /// What the tokens look at in blocks with a window, or in the others.
    pub(super) fn sight(&self, is_local: bool) -> &Sight {
        let local = self.local.as_ref().filter(|_| is_local);
        local.unwrap_or(&self.global)
    }

    /// Stores the keys and values (kv_heads, tokens, head_dim) of a block, and returns those of all
    /// tokens in sight up to the last: (kv_heads, positions, head_dim) each.
    pub(super) fn extend(
        &self,
        block: usize,
        sight: &Sight,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let Some((all_keys, all_values)) = self.cache.blocks.get(block) else {
            candle_core::bail!("the cache has no block {block}");
        };
        let kept = |tensor: &Tensor| tensor.to_dtype(self.cache.dtype)?.contiguous();
        all_keys.slice_set(&kept(keys)?, 1, self.cache.length)?;
        all_values.slice_set(&kept(values)?, 1, self.cache.length)?;
        let length = self.cache.length + self.count - sight.first;
        Ok((
            all_keys.narrow(1, sight.first, length)?,
            all_values.narrow(1, sight.first, length)?,
        ))
    }

    /// Counts the tokens as read. A step that failed before this left nothing behind.
    pub(super) fn finish(self) {
        self.cache.length += self.count;
    }
}

fn bytes_a_token(blocks: usize, kv_heads: usize, head_dim: usize, dtype: DType) -> usize {
    blocks * 2 * kv_heads * head_dim * dtype.size_in_bytes()
}

/// A token looks at `window` positions up to its own; `first` is the first that any looks at.
fn causal_mask(
    past: usize,
    count: usize,
    first: usize,
    window: usize,
    device: &Device,
) -> Result<Option<Tensor>> {
    if count == 1 {
        return Ok(None);
    }
    let rows = (past..past + count).flat_map(|token| {
        (first..past + count).map(move |position| {
            let is_seen = position <= token && token - position < window;
            if is_seen { 0.0 } else { f32::NEG_INFINITY }
        })
    });
    let values: Vec<f32> = rows.collect();
    Tensor::from_vec(values, (count, past + count - first), device).map(Some)
}
