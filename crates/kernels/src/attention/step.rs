//! A step: positions that go into a cache layer by layer, and count only when all layers have them.
//!
//! A model computes the keys and values of a layer from what attention gave in the layer before. So
//! the rows of a step are seen by attention in their layer at once, but a step that fails in the
//! middle takes them back.

use half::f16;

use crate::isa::Supported;
use crate::shape::require_length;
use crate::simd::{Kernel, MOST_LANES, Simd};
use crate::{Error, Result, Rows};

use super::cache::KeyValueCache;
use super::pool::{BLOCK, CacheShape, PAGE_TOKENS};

/// Positions that are being added to a cache. Dropped before it is finished, it takes them out
/// again.
#[derive(Debug)]
pub struct CacheStep<'cache> {
    cache: &'cache mut KeyValueCache,
    count: usize,
    /// Layers that have their rows.
    layers: usize,
}

impl<'cache> CacheStep<'cache> {
    pub(super) fn new(cache: &'cache mut KeyValueCache, count: usize) -> Self {
        let step = Self {
            cache,
            count,
            layers: 0,
        };
        step.cache.reserve(step.end());
        step
    }

    /// Positions that the step adds.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Positions that the cache will have when the step is finished.
    pub fn end(&self) -> usize {
        self.cache.len() + self.count
    }

    /// The cache as it was before the step.
    pub(super) fn cache(&self) -> &KeyValueCache {
        self.cache
    }

    /// Fills the step's positions in `layer`, which must be the next: a row of `keys` and one of
    /// `values` for each, of `kv_heads * head_dim` values, head by head.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if another layer is next; [`Error::Length`] if rows have another width,
    /// or there are more or fewer than positions. The step is then as it was.
    pub fn extend(&mut self, layer: usize, keys: Rows<'_>, values: Rows<'_>) -> Result<()> {
        self.extend_on(Supported::active(), layer, keys, values)
    }

    pub(super) fn extend_on(
        &mut self,
        cpu: Supported,
        layer: usize,
        keys: Rows<'_>,
        values: Rows<'_>,
    ) -> Result<()> {
        let shape = self.cache.pool().shape();
        if layer != self.layers || layer >= shape.layers {
            return Err(Error::OutOfRange {
                argument: "layer",
                index: layer,
                count: shape.layers.min(self.layers + 1),
            });
        }
        let width = shape.kv_heads.saturating_mul(shape.head_dim);
        require_length("a row of keys", width, keys.width())?;
        require_length("a row of values", width, values.width())?;
        require_length("keys", self.count, keys.count())?;
        require_length("values", self.count, values.count())?;
        cpu.run(Fill {
            cache: self.cache,
            shape,
            layer,
            keys,
            values,
        });
        self.layers += 1;
        Ok(())
    }

    /// That a layer has its rows.
    pub(super) fn require_layer(&self, layer: usize) -> Result<()> {
        match layer < self.layers {
            true => Ok(()),
            false => Err(Error::OutOfRange {
                argument: "layer",
                index: layer,
                count: self.layers,
            }),
        }
    }

    /// Counts the positions as filled.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if there are layers without their rows; the cache is then as it was before
    /// the step.
    pub fn finish(self) -> Result<()> {
        require_length("layers", self.cache.pool().shape().layers, self.layers)?;
        let end = self.end();
        self.cache.set_len(end);
        Ok(())
    }
}

impl Drop for CacheStep<'_> {
    fn drop(&mut self) {
        let len = self.cache.len();
        self.cache.truncate(len);
    }
}

/// Writes rows into the pages that are there for them.
struct Fill<'a> {
    cache: &'a mut KeyValueCache,
    shape: CacheShape,
    layer: usize,
    keys: Rows<'a>,
    values: Rows<'a>,
}

impl Kernel for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            cache,
            shape,
            layer,
            keys,
            values,
        } = self;
        let (dim, stride, length) = (shape.head_dim, shape.value_stride(), shape.head_length());
        if shape.layer_length() == 0 {
            return;
        }
        let len = cache.len();
        for row in 0..keys.count() {
            let (page, position) = ((len + row) / PAGE_TOKENS, (len + row) % PAGE_TOKENS);
            let heads = cache.layer_mut(page, layer).chunks_exact_mut(length);
            let rows = keys.row(row).chunks_exact(dim);
            let rows = rows.zip(values.row(row).chunks_exact(dim));
            for (head, (key, value)) in heads.zip(rows) {
                let (all_keys, all_values) = head.split_at_mut(shape.keys_length());
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
