//! The pages that caches are made of, and how much memory all of them take.
//!
//! A page holds the keys and values of [`PAGE_TOKENS`] positions in all layers of a model. Caches
//! share pages by counting references: a page that somebody else holds, too, is copied before it is
//! written to. Every page counts itself in its pool from when it is made until the last holder lets
//! go of it, so the pool always knows the truth.
//!
//! In a page, layer by layer and head by head, lie keys and then values. Keys lie in blocks of 16
//! positions, and in a block by component: a vector then holds one component of 16 positions, so
//! scores come out a lane a position and nothing is summed across lanes. Values lie by position,
//! filled up to whole vectors.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::aligned::Aligned;
use crate::simd::MOST_LANES;

/// Positions of a page.
pub const PAGE_TOKENS: usize = 128;

/// Positions of a block of keys.
pub(super) const BLOCK: usize = 16;

/// What caches hold of each position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheShape {
    /// Layers of the model.
    pub layers: usize,
    /// Heads of keys, and as many of values.
    pub kv_heads: usize,
    /// Values of a head.
    pub head_dim: usize,
}

/// Where the pages of all caches of a model come from.
#[derive(Debug)]
pub struct PagePool {
    shape: CacheShape,
    pages: AtomicUsize,
}

/// A page and how many of its positions were filled when it was shared; from then on, nobody writes
/// to these positions.
#[derive(Debug, Clone)]
pub struct SharedPage {
    pub(super) page: Arc<Page>,
    pub(super) filled: usize,
}

/// The memory of a page: vectors of halves are 16 or 32 bytes long and lie side by side, so from an
/// aligned start none of them lies across two cache lines.
#[derive(Debug)]
pub(super) struct Page {
    halves: Aligned<u16>,
    pool: Arc<PagePool>,
}

impl CacheShape {
    /// The stride of the values: a head's, filled up to whole vectors.
    pub(super) fn value_stride(self) -> usize {
        let filled_up = self.head_dim.checked_next_multiple_of(MOST_LANES);
        filled_up.unwrap_or(usize::MAX)
    }

    /// Halves that a head's keys take of a page.
    pub(super) fn keys_length(self) -> usize {
        self.head_dim.saturating_mul(PAGE_TOKENS)
    }

    /// Halves that a head takes of a page.
    pub(super) fn head_length(self) -> usize {
        let values = self.value_stride().saturating_mul(PAGE_TOKENS);
        self.keys_length().saturating_add(values)
    }

    /// Halves that a layer takes of a page.
    pub(super) fn layer_length(self) -> usize {
        self.head_length().saturating_mul(self.kv_heads)
    }

    /// Halves of a page.
    fn page_length(self) -> usize {
        self.layer_length().saturating_mul(self.layers)
    }
}

impl PagePool {
    /// A pool of pages of this shape; it has none yet.
    pub fn new(shape: CacheShape) -> Arc<Self> {
        Arc::new(Self {
            shape,
            pages: AtomicUsize::new(0),
        })
    }

    /// What a position holds.
    pub fn shape(&self) -> CacheShape {
        self.shape
    }

    /// Memory of a page, in bytes.
    pub fn page_bytes(&self) -> usize {
        self.shape.page_length().saturating_mul(size_of::<u16>())
    }

    /// Memory that all pages take at this moment, in bytes; a shared page counts once.
    pub fn bytes(&self) -> usize {
        let pages = self.pages.load(Ordering::Relaxed);
        pages.saturating_mul(self.page_bytes())
    }
}

impl SharedPage {
    /// Positions that were filled when the page was shared.
    pub fn filled(&self) -> usize {
        self.filled
    }
}

impl Page {
    /// Zeros, which the system hands out when they are first written.
    pub(super) fn new(pool: &Arc<PagePool>) -> Self {
        let page = Self {
            halves: Aligned::zeros(pool.shape.page_length()),
            pool: Arc::clone(pool),
        };
        pool.pages.fetch_add(1, Ordering::Relaxed);
        page
    }

    /// A page with the first `filled` positions of this one.
    pub(super) fn copy(&self, filled: usize) -> Self {
        let shape = self.pool.shape;
        let mut copy = Self::new(&self.pool);
        let (head, keys) = (shape.head_length(), shape.keys_length());
        if filled == 0 || head == 0 {
            return copy;
        }
        let blocks = filled.next_multiple_of(BLOCK) * shape.head_dim;
        let values = keys..keys + filled * shape.value_stride();
        let heads = copy.halves.chunks_exact_mut(head);
        for (to, from) in heads.zip(self.halves.chunks_exact(head)) {
            to[..blocks].copy_from_slice(&from[..blocks]);
            to[values.clone()].copy_from_slice(&from[values.clone()]);
        }
        copy
    }

    pub(super) fn pool(&self) -> &Arc<PagePool> {
        &self.pool
    }

    pub(super) fn halves(&self) -> &[u16] {
        &self.halves
    }

    pub(super) fn halves_mut(&mut self) -> &mut [u16] {
        &mut self.halves
    }
}

impl Clone for Page {
    fn clone(&self) -> Self {
        self.copy(PAGE_TOKENS)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.pool.pages.fetch_sub(1, Ordering::Relaxed);
    }
}
