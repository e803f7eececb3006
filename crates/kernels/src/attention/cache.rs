//! The keys and values of the tokens so far, for one layer, in half precision.
//!
//! Pages of 256 positions, so that memory grows by steps and a conversation's pages can be shared
//! one day. A page holds, for each head, its keys and then its values. Keys lie in blocks of 16
//! positions, and in a block by component: a vector then holds one component of 16 positions, so
//! scores come out a lane a position and nothing is summed across lanes. Values lie by position,
//! filled up to whole vectors.

use half::f16;

use crate::isa::Supported;
use crate::shape::require_length;
use crate::simd::{Kernel, MOST_LANES, Simd};
use crate::{Result, Rows};

use super::page::Page;

/// Positions of a page.
pub(super) const PAGE: usize = 256;
/// Positions of a block of keys.
pub(super) const BLOCK: usize = 16;

/// One layer's keys and values, in half precision. Numbers beyond its range are stored as its
/// largest, 65504: an infinity would turn into NaN wherever it is not looked at.
#[derive(Debug, Clone)]
pub struct KeyValueCache {
    pages: Vec<Page>,
    kv_heads: usize,
    head_dim: usize,
    len: usize,
}

impl KeyValueCache {
    /// An empty cache for `kv_heads` heads of `head_dim` values.
    pub fn new(kv_heads: usize, head_dim: usize) -> Self {
        Self {
            pages: Vec::new(),
            kv_heads,
            head_dim,
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

    /// Heads of keys, and as many of values.
    pub fn kv_heads(&self) -> usize {
        self.kv_heads
    }

    /// Values of a head.
    pub fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// Memory that the pages take, in bytes.
    pub fn bytes(&self) -> usize {
        self.pages
            .iter()
            .map(|page| size_of_val(page.halves()))
            .sum()
    }

    /// Forgets all positions from `len` on, and gives back the pages that only they were in. Does
    /// nothing if there are no more than `len`.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.pages.truncate(self.len.div_ceil(PAGE));
    }

    /// Appends positions: a row of `keys` and one of `values` for each, of `kv_heads * head_dim`
    /// values, head by head.
    ///
    /// # Errors
    ///
    /// [`Error::Length`](crate::Error::Length) if rows have another width, or keys and values are
    /// not equally many; the cache is then as it was.
    pub fn extend(&mut self, keys: Rows<'_>, values: Rows<'_>) -> Result<()> {
        self.extend_on(Supported::active(), keys, values)
    }

    pub(super) fn extend_on(
        &mut self,
        cpu: Supported,
        keys: Rows<'_>,
        values: Rows<'_>,
    ) -> Result<()> {
        let width = self.kv_heads.saturating_mul(self.head_dim);
        require_length("a row of keys", width, keys.width())?;
        require_length("a row of values", width, values.width())?;
        require_length("values", keys.count(), values.count())?;
        if keys.count() == 0 {
            return Ok(());
        }
        let end = self.len + keys.count();
        let page = self.page_length();
        self.pages
            .resize_with(end.div_ceil(PAGE), || Page::zeros(page));
        cpu.run(Fill {
            cache: self,
            keys,
            values,
        });
        self.len = end;
        Ok(())
    }

    /// The stride of the values: a head's, filled up to whole vectors.
    pub(super) fn value_stride(&self) -> usize {
        self.head_dim.next_multiple_of(MOST_LANES)
    }

    /// A page's keys for one head: blocks of 16 positions, by component within a block.
    pub(super) fn keys(&self, page: usize, head: usize) -> &[u16] {
        &self.pages[page].halves()[head * self.head_length()..][..PAGE * self.head_dim]
    }

    /// A page's values for one head: by position, `value_stride` from one to the next.
    pub(super) fn values(&self, page: usize, head: usize) -> &[u16] {
        let start = head * self.head_length() + PAGE * self.head_dim;
        &self.pages[page].halves()[start..][..PAGE * self.value_stride()]
    }

    /// What a head takes of a page.
    fn head_length(&self) -> usize {
        PAGE * (self.head_dim + self.value_stride())
    }

    fn page_length(&self) -> usize {
        self.kv_heads * self.head_length()
    }
}

/// Writes rows into the pages that are there for them.
struct Fill<'a> {
    cache: &'a mut KeyValueCache,
    keys: Rows<'a>,
    values: Rows<'a>,
}

impl Kernel for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            cache,
            keys,
            values,
        } = self;
        let (dim, stride, length) = (cache.head_dim, cache.value_stride(), cache.head_length());
        if length == 0 {
            return;
        }
        for row in 0..keys.count() {
            let (page, position) = ((cache.len + row) / PAGE, (cache.len + row) % PAGE);
            let heads = cache.pages[page].halves_mut().chunks_exact_mut(length);
            let rows = keys.row(row).chunks_exact(dim);
            let rows = rows.zip(values.row(row).chunks_exact(dim));
            for (head, (key, value)) in heads.zip(rows) {
                let (all_keys, all_values) = head.split_at_mut(PAGE * dim);
                let block = &mut all_keys[position / BLOCK * BLOCK * dim..][..BLOCK * dim];
                scatter(simd, key, &mut block[position % BLOCK..]);
                narrow(simd, value, &mut all_values[position * stride..][..dim]);
            }
        }
    }
}

/// Narrows `from` into every 16th place of `to`.
#[inline(always)]
fn scatter<S: Simd>(simd: S, from: &[f32], to: &mut [u16]) {
    let places = to.chunks_mut(BLOCK * MOST_LANES);
    for (values, places) in from.chunks(MOST_LANES).zip(places) {
        let mut halves = [0; MOST_LANES];
        narrow(simd, values, &mut halves);
        for (half, place) in halves.iter().zip(places.iter_mut().step_by(BLOCK)) {
            *place = *half;
        }
    }
}

/// Narrows as many values as both slices have.
#[inline(always)]
fn narrow<S: Simd>(simd: S, from: &[f32], to: &mut [u16]) {
    // `min` and `max` give their second argument for NaN, which so survives.
    let most = simd.splat(f16::MAX.to_f32());
    let least = simd.splat(f16::MIN.to_f32());
    let finite = |values: S::F32| simd.max(least, simd.min(most, values));
    let places = to.chunks_mut(S::LANES);
    for (values, places) in from.chunks(S::LANES).zip(places) {
        if values.len() == S::LANES && places.len() == S::LANES {
            // SAFETY: both chunks have LANES values.
            unsafe { simd.store_f16(places.as_mut_ptr(), finite(simd.load(values.as_ptr()))) };
            continue;
        }
        let mut lanes = [0; MOST_LANES];
        // SAFETY: the buffer has MOST_LANES >= LANES places.
        unsafe { simd.store_f16(lanes.as_mut_ptr(), finite(simd.load_first(values))) };
        let count = values.len().min(places.len());
        places[..count].copy_from_slice(&lanes[..count]);
    }
}
