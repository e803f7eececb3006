//! Attention of one token of each part, over pages that lie anywhere.

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor};

use super::{Fused, plain};
use crate::engine::BLOCK_TOKENS;

/// Whose tokens look, and at how much.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lookers {
    /// The first part's row of the queries; those of the others follow.
    pub(crate) first_row: usize,
    /// How many positions up to its own a token looks at.
    pub(crate) window: usize,
    /// Scores are kept within it by a hyperbolic tangent.
    pub(crate) cap: Option<f64>,
}

impl Fused {
    /// Whether tokens look at pages where they are: heads of this width, in this type.
    pub(in crate::decoder) fn attends(&self, width: usize, dtype: DType) -> bool {
        #[cfg(feature = "cuda")]
        if let Some(kernels) = &self.kernels {
            return match dtype {
                DType::F16 => kernels.attends::<half::f16>(width),
                DType::BF16 => kernels.attends::<half::bf16>(width),
                _ => false,
            };
        }
        // The plain version takes any width.
        self.is_on && width > 0 && dtype == DType::F32
    }

    /// What the token of each part gets of the values that it looks at: (parts, heads * width).
    ///
    /// `queries` are (heads, rows, width), scaled; `cached` is (2 * kv_heads, positions of all pages, width), keys before
    /// values; `table` is (parts, 1 + pages): where each part's token stands, counted from the first page that it is
    /// shown, and the numbers of these pages.
    pub(in crate::decoder) fn attended(
        &self,
        queries: &Tensor,
        cached: &Tensor,
        table: &Tensor,
        lookers: Lookers,
    ) -> Result<Tensor> {
        let op = PagedAttention {
            fused: self,
            lookers,
        };
        queries.apply_op3_no_bwd(cached, table, &op)
    }
}

struct PagedAttention<'fused> {
    #[cfg_attr(
        not(feature = "cuda"),
        expect(dead_code, reason = "it holds a card's kernels")
    )]
    fused: &'fused Fused,
    lookers: Lookers,
}

impl PagedAttention<'_> {
    /// What a query gets: `keys` and `values` are what it looks at, position by position.
    fn mixed(&self, query: &[f32], keys: &[&[f32]], values: &[&[f32]]) -> Vec<f32> {
        let scores = keys.iter().map(|key| {
            let score: f32 = query.iter().zip(*key).map(|(one, other)| one * other).sum();
            match self.lookers.cap {
                Some(cap) => cap as f32 * (score / cap as f32).tanh(),
                None => score,
            }
        });
        let scores: Vec<f32> = scores.collect();
        let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f32> = scores.iter().map(|score| (score - most).exp()).collect();
        let whole: f32 = powers.iter().sum();
        let mut mixed = vec![0.0; query.len()];
        for (value, power) in values.iter().zip(powers) {
            for (mixed, component) in mixed.iter_mut().zip(*value) {
                *mixed += power / whole * component;
            }
        }
        mixed
    }
}

impl CustomOp3 for PagedAttention<'_> {
    fn name(&self) -> &'static str {
        "attention over pages"
    }

    fn cpu_fwd(
        &self,
        queries: &CpuStorage,
        layout: &Layout,
        cached: &CpuStorage,
        cached_layout: &Layout,
        table: &CpuStorage,
        table_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (heads, rows, width) = layout.shape().dims3()?;
        let (kept_heads, places, _) = cached_layout.shape().dims3()?;
        let (parts, columns) = table_layout.shape().dims2()?;
        let CpuStorage::U32(table) = table else {
            candle_core::bail!("a table of pages has whole numbers");
        };
        let queries = plain::numbers(queries, layout)?;
        let cached = plain::numbers(cached, cached_layout)?;
        let kv_heads = kept_heads / 2;
        let mut out = Vec::with_capacity(parts * heads * width);
        for (part, row) in table.chunks(columns).enumerate() {
            let end = row[0] as usize + 1;
            let seen = (end.saturating_sub(self.lookers.window)..end).map(|position| {
                let page = row[1 + position / BLOCK_TOKENS] as usize;
                page * BLOCK_TOKENS + position % BLOCK_TOKENS
            });
            let seen: Vec<usize> = seen.collect();
            for head in 0..heads {
                let vectors = |kept: usize| {
                    let vectors = seen.iter().map(|place| (kept * places + place) * width);
                    let vectors = vectors.map(|start| &cached[start..start + width]);
                    vectors.collect::<Vec<&[f32]>>()
                };
                let key_head = head / (heads / kv_heads);
                let query = (head * rows + self.lookers.first_row + part) * width;
                let query = &queries[query..query + width];
                out.extend(self.mixed(query, &vectors(key_head), &vectors(kv_heads + key_head)));
            }
        }
        plain::given(out, (parts, heads * width))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        queries: &candle_core::CudaStorage,
        layout: &Layout,
        cached: &candle_core::CudaStorage,
        cached_layout: &Layout,
        table: &candle_core::CudaStorage,
        table_layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        use super::card::{by_type, given, view};
        let kernels = self.fused.kernels()?;
        let (heads, rows, width) = layout.shape().dims3()?;
        let kv_heads = cached_layout.shape().dims3()?.0 / 2;
        let (parts, columns) = table_layout.shape().dims2()?;
        let shape = longtrainer_kernels::PagedShape {
            parts,
            key_heads: kv_heads,
            group: heads / kv_heads,
            width,
            rows,
            first_row: self.lookers.first_row,
            pages: columns - 1,
            window: self.lookers.window,
            cap: self.lookers.cap.map(|cap| cap as f32),
        };
        let table = view::<u32>(table, table_layout)?;
        let attended = by_type!(queries, T => {
            let cached = view::<T>(cached, cached_layout)?;
            let queries_view = view::<T>(queries, layout)?;
            given(kernels.paged_attention(&queries_view, &cached, &table, &shape), queries)
        });
        Ok((attended?, (parts, heads * width).into()))
    }
}
