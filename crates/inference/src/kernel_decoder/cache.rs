//! Keys and values of the tokens that a request has read, in half precision.

use std::sync::Arc;

use longtrainer_kernels::{KeyValueCache, PagePool, SharedPage};

use crate::engine::TokenCache;
use crate::error::ComputeError;

/// The cache of one request.
#[derive(Debug)]
pub(crate) struct DecoderCache {
    pub(super) pages: KeyValueCache,
    /// Tokens that it may come to hold.
    limit: usize,
    /// Which angles keys were turned by.
    kind: u64,
}

/// A page of a cache.
#[derive(Debug, Clone)]
pub(crate) struct CacheBlock {
    page: SharedPage,
    kind: u64,
}

impl DecoderCache {
    /// An empty cache for a request of at most `limit` tokens.
    pub(super) fn new(pool: &Arc<PagePool>, limit: usize, kind: u64) -> Self {
        Self {
            pages: KeyValueCache::new(pool),
            limit,
            kind,
        }
    }

    /// Tokens that it may come to hold.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// That there are `count` more tokens, and room for them.
    pub(super) fn check_room(&self, count: usize) -> Result<(), ComputeError> {
        let (length, limit) = (self.pages.len(), self.limit);
        if count == 0 || count > limit - length {
            let problem = format!("{count} tokens cannot follow {length} in a context of {limit}");
            return Err(problem.into());
        }
        Ok(())
    }
}

impl TokenCache for DecoderCache {
    type Block = CacheBlock;

    fn len(&self) -> usize {
        self.pages.len()
    }

    fn truncate(&mut self, len: usize) {
        self.pages.truncate(len);
    }

    fn block(&self, index: usize) -> Result<CacheBlock, ComputeError> {
        Ok(CacheBlock {
            page: self.pages.page(index)?,
            kind: self.kind,
        })
    }

    fn adopt(&mut self, blocks: Vec<CacheBlock>, len: usize) -> Result<(), ComputeError> {
        if len > self.limit {
            return Err(format!("{len} tokens do not fit a context of {}", self.limit).into());
        }
        if blocks.iter().any(|block| block.kind != self.kind) {
            return Err("the blocks were read for requests of another length".into());
        }
        let pages = blocks.into_iter().map(|block| block.page);
        Ok(self.pages.adopt(pages.collect(), len)?)
    }
}
