//! Keys and values of the tokens that a request has read.
//!
//! Memory is taken in steps as the text grows, twice as much each time, so that a short chat with a
//! long-context model stays small and no token copies the whole past.

use candle_core::{DType, Device, Result, Tensor};

use super::config::DecoderConfig;
use super::rotary::{Angles, Rotary};

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
    kv_heads: usize,
    head_dim: usize,
    device: Device,
}

/// One pass through the blocks: where its tokens stand, and room for their keys and values.
#[derive(Debug)]
pub(super) struct Step<'cache> {
    cache: &'cache mut KvCache,
    count: usize,
    /// Angles of the positions.
    pub(super) angles: Angles,
    /// 0 where a token may look and negative infinity where it may not: (tokens, past + tokens).
    /// A single token may look everywhere.
    pub(super) mask: Option<Tensor>,
}

impl KvCache {
    /// An empty cache.
    pub(super) fn new(config: &DecoderConfig, device: &Device) -> Self {
        Self {
            blocks: Vec::new(),
            block_count: config.blocks,
            length: 0,
            capacity: 0,
            limit: config.context_length,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            device: device.clone(),
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
        Ok(Step {
            angles: rotary.angles(self.length, count)?,
            mask: causal_mask(self.length, count, &self.device)?,
            cache: self,
            count,
        })
    }

    fn reserve(&mut self, needed: usize) -> Result<()> {
        if needed <= self.capacity {
            return Ok(());
        }
        let doubled = needed.next_power_of_two().max(FIRST_CAPACITY);
        let capacity = doubled.min(self.limit);
        let shape = (self.kv_heads, capacity, self.head_dim);
        let mut blocks = Vec::with_capacity(self.block_count);
        for index in 0..self.block_count {
            let keys = Tensor::zeros(shape, DType::F32, &self.device)?;
            let values = Tensor::zeros(shape, DType::F32, &self.device)?;
            if let Some((old_keys, old_values)) = self.blocks.get(index) {
                keys.slice_set(old_keys, 1, 0)?;
                values.slice_set(old_values, 1, 0)?;
            }
            blocks.push((keys, values));
        }
        self.blocks = blocks;
        self.capacity = capacity;
        Ok(())
    }
}

impl Step<'_> {
    /// Stores the keys and values (kv_heads, tokens, head_dim) of a block, and returns those of all
    /// tokens up to the last: (kv_heads, past + tokens, head_dim) each.
    pub(super) fn extend(
        &mut self,
        block: usize,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let Some((all_keys, all_values)) = self.cache.blocks.get(block) else {
            candle_core::bail!("the cache has no block {block}");
        };
        all_keys.slice_set(&keys.contiguous()?, 1, self.cache.length)?;
        all_values.slice_set(&values.contiguous()?, 1, self.cache.length)?;
        let length = self.cache.length + self.count;
        Ok((
            all_keys.narrow(1, 0, length)?,
            all_values.narrow(1, 0, length)?,
        ))
    }

    /// Counts the tokens as read. A step that failed before this left nothing behind.
    pub(super) fn finish(self) {
        self.cache.length += self.count;
    }
}

fn causal_mask(past: usize, count: usize, device: &Device) -> Result<Option<Tensor>> {
    if count == 1 {
        return Ok(None);
    }
    let rows = (0..count).flat_map(|row| {
        let width = past + count;
        (0..width).map(move |column| {
            if column <= past + row {
                0.0
            } else {
                f32::NEG_INFINITY
            }
        })
    });
    let values: Vec<f32> = rows.collect();
    Tensor::from_vec(values, (count, past + count), device).map(Some)
}
