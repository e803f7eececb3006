//! The keys and values of the tokens so far, for all layers, in half precision.
//!
//! A cache is a list of pages (see `pool`). So memory grows by steps, and caches whose texts begin
//! alike can share what they have in common: the pages of one are adopted by another. A cache is
//! written to in steps (see `step`).

use std::sync::Arc;

use crate::shape::require_length;
use crate::{Error, Result};

use super::pool::{PAGE_TOKENS, Page, PagePool, SharedPage};
use super::step::CacheStep;

/// A text's keys and values, in half precision. Numbers beyond its range are stored as its largest,
/// 65504: an infinity would turn into NaN wherever it is not looked at.
///
/// A clone shares all pages; what one of the two writes, the other never sees.
#[derive(Debug, Clone)]
pub struct KeyValueCache {
    pool: Arc<PagePool>,
    pages: Vec<Arc<Page>>,
    len: usize,
}

impl KeyValueCache {
    /// An empty cache, which takes its pages from `pool` as it grows.
    pub fn new(pool: &Arc<PagePool>) -> Self {
        Self {
            pool: Arc::clone(pool),
            pages: Vec::new(),
            len: 0,
        }
    }

    /// Positions that are filled.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no position is filled.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where its pages come from.
    pub fn pool(&self) -> &Arc<PagePool> {
        &self.pool
    }

    /// Forgets all positions from `len` on, and lets go of the pages that only they were in. Does
    /// nothing if there are no more than `len`.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.pages.truncate(self.len.div_ceil(PAGE_TOKENS));
    }

    /// Makes room for `count` more positions, which the step then fills, layer by layer.
    pub fn begin(&mut self, count: usize) -> CacheStep<'_> {
        self.own_last_page();
        CacheStep::new(self, count)
    }

    /// The page of the positions from `index * PAGE_TOKENS` on, as far as they are filled, to be
    /// shared.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if no such position is filled.
    pub fn page(&self, index: usize) -> Result<SharedPage> {
        let Some(page) = self.pages.get(index) else {
            return Err(Error::OutOfRange {
                argument: "index",
                index,
                count: self.pages.len(),
            });
        };
        Ok(SharedPage {
            page: Arc::clone(page),
            filled: PAGE_TOKENS.min(self.len - index * PAGE_TOKENS),
        })
    }

    /// Begins an empty cache with `len` positions in pages that another cache of the same pool has
    /// shared. Of the last page, fewer positions may be taken than are filled.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if this cache is not empty, there are more or fewer pages than `len`
    /// positions need, or fewer positions were filled; [`Error::ForeignPage`] for a page of another
    /// pool. The cache is then as it was.
    pub fn adopt(&mut self, pages: Vec<SharedPage>, len: usize) -> Result<()> {
        require_length("the cache", 0, self.len)?;
        require_length("pages", len.div_ceil(PAGE_TOKENS), pages.len())?;
        for (index, shared) in pages.iter().enumerate() {
            if !Arc::ptr_eq(shared.page.pool(), &self.pool) {
                return Err(Error::ForeignPage { page: index });
            }
            let wanted = PAGE_TOKENS.min(len - index * PAGE_TOKENS);
            if shared.filled < wanted {
                require_length("a page", wanted, shared.filled)?;
            }
        }
        self.pages = pages.into_iter().map(|shared| shared.page).collect();
        self.len = len;
        Ok(())
    }

    /// Copies the last page if it has room and somebody else holds it, too.
    fn own_last_page(&mut self) {
        let filled = self.len % PAGE_TOKENS;
        if let Some(last) = self.pages.last_mut()
            && filled > 0
            && Arc::get_mut(last).is_none()
        {
            *last = Arc::new(last.copy(filled));
        }
    }

    /// Brings in pages so that there are `len` positions.
    pub(super) fn reserve(&mut self, len: usize) {
        let pool = &self.pool;
        self.pages
            .resize_with(len.div_ceil(PAGE_TOKENS), || Arc::new(Page::new(pool)));
    }

    /// Counts the positions up to `len`, all of whose layers were filled.
    pub(super) fn set_len(&mut self, len: usize) {
        self.len = len;
    }

    /// A layer's part of a page, to be written to. Nobody else holds a page that a step fills.
    pub(super) fn layer_mut(&mut self, page: usize, layer: usize) -> &mut [u16] {
        let length = self.pool.shape().layer_length();
        let page = Arc::make_mut(&mut self.pages[page]);
        &mut page.halves_mut()[layer * length..][..length]
    }

    /// A page's keys for one head: blocks of 16 positions, by component within a block.
    pub(super) fn keys(&self, page: usize, layer: usize, head: usize) -> &[u16] {
        &self.head(page, layer, head)[..self.pool.shape().keys_length()]
    }

    /// A page's values for one head: by position, `value_stride` from one to the next.
    pub(super) fn values(&self, page: usize, layer: usize, head: usize) -> &[u16] {
        &self.head(page, layer, head)[self.pool.shape().keys_length()..]
    }

    fn head(&self, page: usize, layer: usize, head: usize) -> &[u16] {
        let shape = self.pool.shape();
        let at = layer * shape.layer_length() + head * shape.head_length();
        &self.pages[page].halves()[at..][..shape.head_length()]
    }
}
