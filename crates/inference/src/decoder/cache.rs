//! Keys and values of the tokens that a request has read: a list of pages (see `pool`).
//!
//! So a short chat with a long-context model stays small, and caches whose texts begin alike share what they have in
//! common: a page that somebody else holds, too, is copied before it is written to.

use std::sync::Arc;

use super::pool::{Page, Pool};
use crate::engine::{BLOCK_TOKENS, TokenCache};
use crate::error::ComputeError;

/// The cache of one request.
#[derive(Debug)]
pub(crate) struct KvCache {
    pool: Arc<Pool>,
    pages: Vec<Arc<Page>>,
    length: usize,
    limit: usize,
    /// Which angles keys were turned by.
    kind: u64,
}

/// A page and how many of its positions were filled when it was shared; nobody writes to these any more.
#[derive(Debug, Clone)]
pub(crate) struct KvBlock {
    page: Arc<Page>,
    filled: usize,
    kind: u64,
}

/// Positions of a request that lie side by side in the tensors of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Where in the tensors.
    pub(super) place: usize,
    pub(super) count: usize,
}

impl KvCache {
    /// An empty cache for a request of at most `limit` tokens.
    pub(super) fn new(pool: &Arc<Pool>, limit: usize, kind: u64) -> Self {
        Self {
            pool: Arc::clone(pool),
            pages: Vec::new(),
            length: 0,
            limit,
            kind,
        }
    }

    /// Tokens that it may come to hold.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Makes room for `count` more tokens. If it fails, the tokens before are as they were.
    pub(super) fn reserve(&mut self, count: usize) -> candle_core::Result<()> {
        if count == 0 || count > self.limit - self.length {
            candle_core::bail!(
                "{count} tokens cannot follow {} in a context of {}",
                self.length,
                self.limit
            );
        }
        self.own_last_page()?;
        while self.pages.len() * BLOCK_TOKENS < self.length + count {
            self.pages.push(Arc::new(self.pool.take()?));
        }
        Ok(())
    }

    /// Counts the tokens that a step has written as read.
    pub(super) fn advance(&mut self, count: usize) {
        self.length += count;
    }

    /// Where the positions from `start` on lie, for `count` of them.
    pub(super) fn runs(&self, start: usize, count: usize) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut position = start;
        while position < start + count {
            let (page, within) = (position / BLOCK_TOKENS, position % BLOCK_TOKENS);
            let here = (BLOCK_TOKENS - within).min(start + count - position);
            let place = self.pages[page].start() + within;
            match runs.last_mut() {
                Some(last) if last.place + last.count == place => last.count += here,
                _ => runs.push(Run { place, count: here }),
            }
            position += here;
        }
        runs
    }

    /// Numbers of the pages from that of position `start` on up to that of `end - 1`.
    pub(super) fn page_numbers(&self, start: usize, end: usize) -> Vec<u32> {
        let pages = &self.pages[start / BLOCK_TOKENS..end.div_ceil(BLOCK_TOKENS)];
        // A card has fewer pages than 2^32, whatever they hold.
        pages.iter().map(|page| page.number() as u32).collect()
    }

    fn own_last_page(&mut self) -> candle_core::Result<()> {
        let is_partly_filled = !self.length.is_multiple_of(BLOCK_TOKENS);
        if let Some(last) = self.pages.get_mut(self.length / BLOCK_TOKENS)
            && is_partly_filled
            && Arc::get_mut(last).is_none()
        {
            *last = Arc::new(last.copy()?);
        }
        Ok(())
    }

    /// That the blocks hold `len` tokens, and this cache can take them over.
    fn check(&self, blocks: &[KvBlock], len: usize) -> Result<(), ComputeError> {
        if self.length > 0 {
            return Err("only an empty cache takes blocks over".into());
        }
        if len > self.limit {
            return Err(format!("{len} tokens do not fit a context of {}", self.limit).into());
        }
        if blocks.len() != len.div_ceil(BLOCK_TOKENS) {
            return Err(format!("{} blocks are not those of {len} tokens", blocks.len()).into());
        }
        for (index, block) in blocks.iter().enumerate() {
            if !block.page.is_of(&self.pool) {
                return Err("the blocks are those of another model".into());
            }
            if block.kind != self.kind {
                return Err("the blocks were read for requests of another length".into());
            }
            let wanted = BLOCK_TOKENS.min(len - index * BLOCK_TOKENS);
            if block.filled < wanted {
                let problem = format!("block {index} has {} tokens of {wanted}", block.filled);
                return Err(problem.into());
            }
        }
        Ok(())
    }
}

impl TokenCache for KvCache {
    type Block = KvBlock;

    fn len(&self) -> usize {
        self.length
    }

    fn truncate(&mut self, len: usize) {
        self.length = self.length.min(len);
        self.pages.truncate(self.length.div_ceil(BLOCK_TOKENS));
    }

    fn block(&self, index: usize) -> Result<KvBlock, ComputeError> {
        let start = index.saturating_mul(BLOCK_TOKENS);
        match self.pages.get(index) {
            Some(page) if start < self.length => Ok(KvBlock {
                page: Arc::clone(page),
                filled: BLOCK_TOKENS.min(self.length - start),
                kind: self.kind,
            }),
            _ => Err(format!("there is no block {index} of {} tokens", self.length).into()),
        }
    }

    fn adopt(&mut self, blocks: Vec<KvBlock>, len: usize) -> Result<(), ComputeError> {
        self.check(&blocks, len)?;
        self.pages = blocks.into_iter().map(|block| block.page).collect();
        self.length = len;
        Ok(())
    }
}
