//! Keys and values as blocks: what a cache over tensors copies out for others, and takes over.

use std::sync::Arc;

use candle_core::Tensor;

use crate::engine::{BLOCK_TOKENS, TokenCache};
use crate::error::ComputeError;

use super::cache::KvCache;
use super::memory::Held;

/// Copies of the keys and values of some tokens in all blocks of the model: (kv_heads, tokens,
/// head_dim) each.
#[derive(Debug, Clone)]
pub(crate) struct KvBlock(Arc<Copied>);

#[derive(Debug)]
struct Copied {
    layers: Vec<(Tensor, Tensor)>,
    tokens: usize,
    kind: u64,
    _memory: Held,
}

impl KvCache {
    fn copy_out(&self, start: usize, tokens: usize) -> candle_core::Result<KvBlock> {
        let part = |tensor: &Tensor| tensor.narrow(1, start, tokens)?.force_contiguous();
        let layers = self.tensors().iter();
        let layers = layers.map(|(keys, values)| Ok((part(keys)?, part(values)?)));
        Ok(KvBlock(Arc::new(Copied {
            layers: layers.collect::<candle_core::Result<_>>()?,
            tokens,
            kind: self.kind(),
            _memory: self.hold(tokens),
        })))
    }

    fn copy_in(&mut self, blocks: &[KvBlock], len: usize) -> candle_core::Result<()> {
        self.reserve(len)?;
        for (index, block) in blocks.iter().enumerate() {
            let start = index * BLOCK_TOKENS;
            let part = |tensor: &Tensor| {
                let wanted = BLOCK_TOKENS.min(len - start);
                tensor.narrow(1, 0, wanted)?.contiguous()
            };
            for ((keys, values), (from_keys, from_values)) in
                self.tensors().iter().zip(&block.0.layers)
            {
                keys.slice_set(&part(from_keys)?, 1, start)?;
                values.slice_set(&part(from_values)?, 1, start)?;
            }
        }
        self.set_len(len);
        Ok(())
    }

    /// That the blocks hold `len` tokens, and this cache can take them over.
    fn check(&self, blocks: &[KvBlock], len: usize) -> Result<(), ComputeError> {
        if self.len() > 0 {
            return Err("only an empty cache takes blocks over".into());
        }
        if len > self.limit() {
            return Err(format!("{len} tokens do not fit a context of {}", self.limit()).into());
        }
        if blocks.len() != len.div_ceil(BLOCK_TOKENS) {
            return Err(format!("{} blocks are not those of {len} tokens", blocks.len()).into());
        }
        for (index, KvBlock(block)) in blocks.iter().enumerate() {
            if block.kind != self.kind() {
                return Err("the blocks were read for requests of another length".into());
            }
            let wanted = BLOCK_TOKENS.min(len - index * BLOCK_TOKENS);
            if block.tokens < wanted {
                let problem = format!("block {index} has {} tokens of {wanted}", block.tokens);
                return Err(problem.into());
            }
        }
        Ok(())
    }
}

impl TokenCache for KvCache {
    type Block = KvBlock;

    fn len(&self) -> usize {
        self.length()
    }

    fn truncate(&mut self, len: usize) {
        self.forget(len);
    }

    fn block(&self, index: usize) -> Result<KvBlock, ComputeError> {
        let start = index.saturating_mul(BLOCK_TOKENS);
        if start >= self.length() {
            let length = self.length();
            return Err(format!("there is no block {index} of {length} tokens").into());
        }
        Ok(self.copy_out(start, BLOCK_TOKENS.min(self.length() - start))?)
    }

    fn adopt(&mut self, blocks: Vec<KvBlock>, len: usize) -> Result<(), ComputeError> {
        self.check(&blocks, len)?;
        Ok(self.copy_in(&blocks, len)?)
    }
}
