//! One pass through the blocks with the tokens of several requests, which lie one after another.

use longtrainer_kernels::{CacheStep, RotaryLayout, Rows, Sequence, Team};

use crate::adapter::Site;
use crate::decoder::{AngleTable, AngleTables, Rotary, Span};
use crate::engine::Part;
use crate::error::ComputeError;

use super::adapter::{AdaptedRows, LowRankScratch};
use super::cache::DecoderCache;

/// Where the tokens of a pass stand. Dropped before it is finished, it takes them out of the caches
/// again.
#[derive(Debug)]
pub(super) struct Step<'cache> {
    caches: Vec<CacheStep<'cache>>,
    angles: AngleTables,
    pub(super) layout: RotaryLayout,
    adapted: Vec<AdaptedRows<'cache>>,
}

impl<'cache> Step<'cache> {
    /// Makes room for the tokens of all parts.
    pub(super) fn begin(
        parts: &'cache mut [Part<'_, DecoderCache>],
        rotary: &Rotary,
    ) -> Result<Self, ComputeError> {
        let adapted = AdaptedRows::of(parts)?;
        let mut spans = Vec::with_capacity(parts.len());
        for part in parts.iter() {
            part.cache.check_room(part.tokens.len())?;
            spans.push(Span {
                limit: part.cache.limit(),
                start: part.cache.pages.len(),
                count: part.tokens.len(),
            });
        }
        let caches = parts.iter_mut().zip(&spans);
        let caches = caches.map(|(part, span)| part.cache.pages.begin(span.count));
        Ok(Self {
            caches: caches.collect(),
            angles: rotary.tables(&spans),
            layout: rotary.layout(),
            adapted,
        })
    }

    /// Angles of the tokens in blocks with a window, or in the others.
    pub(super) fn angles(&self, is_local: bool) -> &AngleTable {
        self.angles.of(is_local)
    }

    /// Adds what the adapters of requests change to the outputs of a product: (tokens, inputs) and
    /// (tokens, outputs), all of the step.
    pub(super) fn adapt(
        &self,
        team: &Team,
        (block, site): (usize, Site),
        input: &[f32],
        out: &mut [f32],
        scratch: &mut LowRankScratch,
    ) -> Result<(), ComputeError> {
        let mut adapted = self.adapted.iter();
        adapted.try_for_each(|rows| rows.add_to(team, block, site, input, out, scratch))
    }

    /// Stores the keys and values of a block's tokens.
    pub(super) fn extend(
        &mut self,
        block: usize,
        keys: Rows<'_>,
        values: Rows<'_>,
    ) -> Result<(), ComputeError> {
        let mut first = 0;
        for cache in &mut self.caches {
            let count = cache.count();
            cache.extend(block, keys.part(first, count)?, values.part(first, count)?)?;
            first += count;
        }
        Ok(())
    }

    /// The requests, for attention.
    pub(super) fn sequences(&self) -> Vec<Sequence<'_>> {
        let sequence = |step| Sequence {
            step,
            tokens: CacheStep::count(step),
        };
        self.caches.iter().map(sequence).collect()
    }

    /// Counts the tokens as read.
    pub(super) fn finish(self) -> Result<(), ComputeError> {
        for cache in self.caches {
            cache.finish()?;
        }
        Ok(())
    }
}
